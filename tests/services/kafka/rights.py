"""What a user who is no superuser may do."""

from enum import IntEnum

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

LITERAL, ALLOW = 3, 3


class Resource(IntEnum):
    """What a right is about, by Kafka's numbers."""

    TOPIC = 2
    GROUP = 3


class Operation(IntEnum):
    """What a right permits, by Kafka's numbers. Read and write include describe."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8


async def allow(address: str, user: str, operation: Operation, resource: Resource, name: str) -> None:
    """Let *user* do this with the topic or group called *name* (`*`: with all); *address* is the plain listener.

    Raises the KafkaError that the broker names.
    """
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        asked = CreateAclsRequest(int(resource), name, LITERAL, f"User:{user}", "*", int(operation), ALLOW)
        answer = await client.send(client.get_random_node(), asked)
        for code, words in answer.creation_responses:
            if code:
                raise for_code(code)(words)
    finally:
        await client.close()
