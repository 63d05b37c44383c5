# The queues between the stages, each with a dead-letter queue: what is in one of those waits for a person.

locals {
  # Besides those of the queues: what the stream could not hand to `publisher`.
  dead_letter_queues = concat(keys(local.queues), ["publisher"])
}

resource "aws_sqs_queue" "work" {
  for_each = local.queues

  name = "${var.name}-${each.key}"

  # Six times the function's time, as AWS advises: a batch that is still at work, or was throttled, is not handed out again.
  visibility_timeout_seconds = 6 * local.functions[each.value].timeout
  # Shorter than that of the dead-letter queue, where the clock of a message goes on.
  message_retention_seconds = 4 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.key].arn
    maxReceiveCount     = var.maximum_receives
  })
}

resource "aws_sqs_queue" "dead_letters" {
  for_each = toset(local.dead_letter_queues)

  name                      = "${var.name}-${each.key}-dlq"
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  for_each = local.queues

  queue_url = aws_sqs_queue.dead_letters[each.key].url
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.work[each.key].arn]
  })
}

locals {
  all_queues = merge(
    { for name, queue in aws_sqs_queue.work : name => queue },
    { for name, queue in aws_sqs_queue.dead_letters : "${name}-dlq" => queue },
  )

  # Where the bus may put events: the queue, and its dead letters when the queue cannot be reached.
  queues_of_the_bus = ["facts", "facts-dlq"]
}

resource "aws_sqs_queue_policy" "all" {
  for_each = toset(concat(keys(local.queues), [for name in local.dead_letter_queues : "${name}-dlq"]))

  queue_url = local.all_queues[each.key].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.all_queues[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for queue in local.queues_of_the_bus : {
        Sid       = "TheRuleSendsFacts"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.all_queues[each.key].arn
        Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.facts.arn } }
      } if queue == each.key],
    )
  })
}
