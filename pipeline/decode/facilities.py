"""Syslog's facilities, by number and by the names that daemons and shippers give them (RFC 5424, table 1)."""

KERNEL = {"0", "kern", "kernel"}
USER = {"1", "user", "user-level"}
"""What syslog daemons give to whatever anybody sends them: `logger` does, under any tag."""

OTHER = {str(number) for number in range(2, 24)} | {
    *("mail", "daemon", "auth", "security", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock", *(f"local{number}" for number in range(8))),
    *("system", "security/authorization"),  # Logstash's
}
