"""Apache Kafka: one broker that is its own controller. `artifact` fetches it, `properties` writes its configuration,
`broker` runs it, `asking` asks it whether it is ready.
"""
