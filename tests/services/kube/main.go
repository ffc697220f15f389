// Command kube is a Kubernetes control plane for tests in one program:
// kube etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl|kwok FLAGS...
// (or a link of that name to it).
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/signals"
)

var commands = map[string]func() error{
	"etcd":                    func() error { etcdmain.Main(os.Args); return nil },
	"kube-apiserver":          func() error { os.Exit(cli.Run(apiserver.NewAPIServerCommand())); return nil },
	"kube-controller-manager": func() error { os.Exit(cli.Run(kcm.NewControllerManagerCommand())); return nil },
	"kube-scheduler":          func() error { os.Exit(cli.Run(scheduler.NewSchedulerCommand())); return nil },
	"kubectl": func() error {
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
		return nil
	},
	"kwok": func() error {
		// kwok's own --version meets the one that component-base registers globally
		pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError)
		fs := pflag.NewFlagSet("global", pflag.ContinueOnError)
		fs.ParseErrorsAllowlist.UnknownFlags = true
		fs.Usage = func() {}
		ctx, _ := kwoklog.InitFlags(signals.SetupSignalContext(), fs)
		ctx, err := kwokconfig.InitFlags(ctx, fs)
		if err != nil {
			return err
		}
		c := kwok.NewCommand(ctx)
		c.PersistentFlags().AddFlagSet(fs)
		return c.ExecuteContext(ctx)
	},
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, ok := commands[name]; !ok && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	run, ok := commands[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: kube etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl|kwok FLAGS...")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
