"""Why a Kafka cluster cannot be used, in words for people.

aiokafka raises one error for a wrong password, an untrusted certificate and a closed port; which it was stands in its
log alone. So its log is listened to, each source hearing only what was said on its own behalf.
"""

import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

import structlog
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedCodecError,
    UnsupportedSaslMechanismError,
)

from pipeline.errors import BadInputError, Complaint, TemporaryError
from pipeline.sources.kafka.settings import KafkaSourceConfig

_log = structlog.get_logger()
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_EXPLAIN_NOTHING = (
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    TimeoutError,
)
_MAYBE_ANOTHER_LISTENER = "see that the cluster is up, and whether tls and sasl are as this listener wants them"
_listening: ContextVar["Listener | None"] = ContextVar("listening", default=None)


class Listener:
    """What aiokafka has said last of why something failed, and when (seconds of the monotonic clock)."""

    def __init__(self) -> None:
        self.reason: BaseException | None = None
        self.heard = float("-inf")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what is said within, and later in every task that begins within."""
        _attach()
        token = _listening.set(self)
        try:
            yield
        finally:
            _listening.reset(token)

    def hear(self, reason: BaseException) -> None:
        """Note why something failed."""
        self.reason, self.heard = reason, time.monotonic()

    def instead_of(self, error: BaseException) -> BaseException:
        """Return what explains *error* best: the reason that was heard, or itself."""
        return self.reason if self.reason is not None and isinstance(error, _EXPLAIN_NOTHING) else error


class _Ear(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        listener = _listening.get()
        reasons = [word for word in _arguments(record) if isinstance(word, BaseException)]
        if listener is not None and reasons:
            listener.hear(reasons[-1])
        _log.debug("kafka.client", logger=record.name, said=record.getMessage())


_EAR = _Ear(logging.WARNING)


def _attach() -> None:
    """Listen to aiokafka's log. With a handler of ours nothing of it goes to standard error by itself."""
    logger = logging.getLogger("aiokafka")
    if _EAR not in logger.handlers:
        logger.addHandler(_EAR)


def _arguments(record: logging.LogRecord) -> tuple[object, ...]:
    return record.args if isinstance(record.args, tuple) else ()


class Backoff:
    """Pauses that double, from a second to a minute, until something succeeds."""

    def __init__(self) -> None:
        self._next = _FIRST_PAUSE

    def reset(self) -> None:
        """Begin anew: it has succeeded."""
        self._next = _FIRST_PAUSE

    def pause(self) -> float:
        """Return how many seconds to wait now."""
        now, self._next = self._next, min(self._next * 2, _LONGEST_PAUSE)
        return now


def explained(config: KafkaSourceConfig, error: BaseException) -> BadInputError | TemporaryError:
    """Return the error of the source: a BadInputError for what a person has to mend, else a TemporaryError."""
    for cause in _causes(error):
        if isinstance(cause, BadInputError | TemporaryError):
            return cause
        if told := _mended_by_people(config, cause):
            return BadInputError(Complaint(config.place, *told))
        if told := _mended_by_time(cause):
            return TemporaryError(str(Complaint(config.place, *told)), timedelta(seconds=_FIRST_PAUSE))
    words = str(error) or type(error).__name__
    closed = Complaint(config.place, words, _MAYBE_ANOTHER_LISTENER)
    return TemporaryError(str(closed), timedelta(seconds=_FIRST_PAUSE))


def _mended_by_people(config: KafkaSourceConfig, error: BaseException) -> tuple[str, str] | None:  # noqa: PLR0911
    user = config.sasl.username if config.sasl else "this client"
    mechanism = config.sasl.mechanism if config.sasl else "none"
    match error:
        case SaslAuthenticationFailed():
            return f"does not let {user} in ({mechanism})", "check sasl.username and sasl.password"
        case UnsupportedSaslMechanismError():
            return f"does not take the mechanism {mechanism}", "set sasl.mechanism to one that the listener has"
        case IllegalSaslStateError():
            return "does not expect SASL here", "remove sasl, or name the port of the SASL listener"
        case ssl.SSLCertVerificationError():
            remedy = "set tls.ca to the certificate of its authority, and name the broker as its certificate does"
            return f"its certificate is not trusted: {error.verify_message}", remedy
        case ssl.SSLError():
            return f"does not speak TLS as we do: {error.reason}", "remove tls, or name the port of the TLS listener"
        case TopicAuthorizationFailedError():
            return f"{user} may not read the topic {_named(error)}", "allow READ on the topic"
        case GroupAuthorizationFailedError():
            return f"{user} may not use the group {config.group_id}", "allow READ on the group"
        case UnknownTopicOrPartitionError():
            return f"there is no topic {_named(error)}", "create it, or mend topics"
        case UnsupportedCodecError():
            return f"a batch cannot be decompressed: {error}", "install what aiokafka needs for it"
    return None


def _mended_by_time(error: BaseException) -> tuple[str, str] | None:
    match error:
        case ConnectionRefusedError():
            return "nobody listens there", "see that the broker runs, and check bootstrap_servers"
        case socket.gaierror():
            return f"the name is not known: {error.strerror}", "check bootstrap_servers"
        case TimeoutError():
            return "there is no answer", "see that the broker runs and that the network lets us through"
        case ConnectionError():
            return "the connection was closed", _MAYBE_ANOTHER_LISTENER
        case OSError():
            return f"the connection failed: {error.strerror or error}", "see that the broker runs"
    return None


def _named(error: BaseException) -> str:
    words = error.args[0] if error.args else ""
    names = [words] if isinstance(words, str) else list(words) if isinstance(words, list | set | tuple) else [words]
    return ", ".join(sorted(str(getattr(name, "topic", name)) for name in names))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
