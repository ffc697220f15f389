"""Topics, which a broker of ours does not make by itself."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code


async def create_topic(address: str, name: str, partitions: int = 1, **settings: str) -> None:
    """Make a topic at the plain listener *address*; *settings* are the topic's, with _ for each dot in their names.

    Raises the KafkaError that the broker names.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        configs = {key.replace("_", "."): value for key, value in settings.items()}
        answer = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
        for topic, code, *words in answer.topic_errors:
            if code:
                raise for_code(code)(f"{topic}: {words}")
    finally:
        await admin.close()
