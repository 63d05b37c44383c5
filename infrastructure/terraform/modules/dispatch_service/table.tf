# The one table: records, facts and read models. The items in the index `work` are those that wait.

resource "aws_dynamodb_table" "dispatch" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = var.deletion_protection

  # Facts leave the table by its stream, never by a call after the commit.
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"

  dynamic "attribute" {
    for_each = toset(["pk", "sk", "wq", "wd", "key"])

    content {
      name = attribute.key
      type = "S"
    }
  }

  # Work of a queue, by when it is due, with what a claim compares: each write of an item that waits is paid for here again.
  global_secondary_index {
    name               = "work"
    hash_key           = "wq"
    range_key          = "wd"
    projection_type    = "INCLUDE"
    non_key_attributes = ["lane", "v"]
  }

  # Work of a queue, by its key, to page through it.
  global_secondary_index {
    name            = "work_by_key"
    hash_key        = "wq"
    range_key       = "key"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  # With the account's key for DynamoDB, whose use CloudTrail shows.
  server_side_encryption {
    enabled = true
  }
}
