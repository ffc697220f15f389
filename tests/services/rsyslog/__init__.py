"""rsyslog, as a shipper. `artifact` fetches it, `shipper` runs it."""
