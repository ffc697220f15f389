"""Elasticsearch: one node. `artifact` fetches it, `configuration` writes its folder of configuration, `node` runs it.

What this build lacks of a full one: `_ilm`, deleting a data stream, ES|QL, Kibana.
"""
