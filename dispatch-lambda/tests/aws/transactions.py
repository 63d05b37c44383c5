"""Transactions of DynamoDB that are taken back item by item.

moto copies the whole table for each item of a transaction, to put the copy in its place if the transaction fails. A table with
a few hundred items costs more than everything else that the emulation does. Here the items of the transaction are kept, and
moto's copy is the table itself.
"""

import copy
from types import SimpleNamespace

from moto.dynamodb import models
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

transact_write_items = models.DynamoDBBackend.transact_write_items


def taken_back_item_by_item(backend, items):
    operations = [operation for item in items for operation in item.values()]
    tables = [backend.get_table(operation["TableName"]) for operation in operations]
    kept = [keep(table, operation) for table, operation in zip(tables, operations)]
    told = [(table.stream_shard.items, len(table.stream_shard.items)) for table in tables]
    try:
        transact_write_items(backend, items)
    except Exception:
        for items_of_hash, range_key, item, attributes in kept:
            if item is None:
                items_of_hash.pop(range_key, None)
            else:
                # The same object: the stream has it, too.
                items_of_hash[range_key], item.attrs = item, attributes
        for changes, length in told:
            del changes[length:]
        raise


def keep(table, operation):
    """Where an item is, and a copy of its attributes: an update changes them in their place."""
    key = operation.get("Item") or operation["Key"]
    hash_key, range_key = (DynamoType(key[name]) for name in (table.hash_key_attr, table.range_key_attr))
    items_of_hash = table.items[hash_key]
    item = items_of_hash.get(range_key)
    return items_of_hash, range_key, item, item and copy.deepcopy(item.attrs)


def deepcopy(value):
    return value if isinstance(value, Table) else copy.deepcopy(value)


models.copy = SimpleNamespace(deepcopy=deepcopy, copy=copy.copy)
models.DynamoDBBackend.transact_write_items = taken_back_item_by_item
