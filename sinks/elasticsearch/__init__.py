"""Rescue records in an Elasticsearch data stream, from where people read them in Kibana.

What belongs here: how a server is spoken to (`connection`), how records go in (`batches`, `bulk`, `outcomes`,
`deadletters`) and come out (`reading`), what a server must have (`install`, `reaching`).
"""

from sinks.elasticsearch.config import ElasticsearchSinkConfig
from sinks.elasticsearch.sink import ElasticsearchSink

__all__ = ["ElasticsearchSink", "ElasticsearchSinkConfig"]
