# Nothing that a queue holds is lost, read by others, or handed out while it is worked on.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "nothing_that_waits_is_lost" {
  # Every queue is encrypted.
  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.work), values(aws_sqs_queue.dead_letters)) : queue.sqs_managed_sse_enabled])
    error_message = "Messages are encrypted."
  }

  assert {
    condition = alltrue([for name, policy in aws_sqs_queue_policy.all : anytrue([
      for statement in jsondecode(policy.policy).Statement :
      statement.Effect == "Deny" && statement.Principal == "*" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
    ])]) && length(aws_sqs_queue_policy.all) == length(aws_sqs_queue.work) + length(aws_sqs_queue.dead_letters)
    error_message = "No queue takes connections that are not encrypted."
  }

  # What fails is parked and outlives its queue.
  assert {
    condition = { for name, queue in aws_sqs_queue.work : name => jsondecode(queue.redrive_policy).deadLetterTargetArn } == {
      for name in ["requests", "targets", "facts"] : name => "arn:aws:sqs:eu-west-1:000000000000:${name}-dlq"
    }
    error_message = "Each queue has its own dead-letter queue."
  }

  assert {
    condition = { for name, allow in aws_sqs_queue_redrive_allow_policy.dead_letters : name => jsondecode(allow.redrive_allow_policy).sourceQueueArns } == {
      for name in ["requests", "targets", "facts"] : name => ["arn:aws:sqs:eu-west-1:000000000000:${name}"]
    }
    error_message = "A dead-letter queue takes from its own queue only."
  }

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.work : jsondecode(queue.redrive_policy).maxReceiveCount >= 5])
    error_message = "A throttled function does not park work."
  }

  assert {
    condition     = alltrue([for name, queue in aws_sqs_queue.work : queue.message_retention_seconds < aws_sqs_queue.dead_letters[name].message_retention_seconds])
    error_message = "The clock of a message goes on in the dead-letter queue, which must keep it longer."
  }

  # A batch at work is not handed out again.
  assert {
    condition = alltrue([for name, function in { requests = "planner", targets = "dispatcher", facts = "facts" } :
      aws_sqs_queue.work[name].visibility_timeout_seconds >= 6 * aws_lambda_function.functions[function].timeout
    ])
    error_message = "The visibility time-out is at least six times the function's."
  }

  # Each queue starts its function and takes back what failed.
  assert {
    condition = { for name, mapping in aws_lambda_event_source_mapping.queues : name => mapping.event_source_arn } == {
      for name in ["requests", "targets", "facts"] : name => "arn:aws:sqs:eu-west-1:000000000000:${name}"
    }
    error_message = "Each mapping reads its queue."
  }

  assert {
    condition     = alltrue([for mapping in values(aws_lambda_event_source_mapping.queues) : mapping.function_response_types == toset(["ReportBatchItemFailures"])])
    error_message = "One bad message does not send nine good ones back."
  }

  assert {
    condition     = alltrue([for mapping in values(aws_lambda_event_source_mapping.queues) : one(mapping.scaling_config).maximum_concurrency == 5])
    error_message = "How many instances a queue may use is bounded."
  }

  # Only the rule may put facts into the queue of facts.
  assert {
    condition = { for name, policy in aws_sqs_queue_policy.all : name => [
      for statement in jsondecode(policy.policy).Statement : [statement.Principal.Service, statement.Action, statement.Resource, statement.Condition.ArnEquals["aws:SourceArn"]]
      if statement.Effect == "Allow"
      ] if strcontains(policy.policy, "Allow") } == {
      facts     = [["events.amazonaws.com", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:000000000000:facts", "arn:aws:events:eu-west-1:000000000000:rule/dispatch/dispatch-facts"]]
      facts-dlq = [["events.amazonaws.com", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:000000000000:facts-dlq", "arn:aws:events:eu-west-1:000000000000:rule/dispatch/dispatch-facts"]]
    }
    error_message = "No other queue takes messages from a service, and these two from one rule only."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.facts.event_pattern) == { source = ["dispatch"] }
    error_message = "All events of this service are facts."
  }

  assert {
    condition     = aws_cloudwatch_event_target.facts.arn == "arn:aws:sqs:eu-west-1:000000000000:facts" && one(aws_cloudwatch_event_target.facts.dead_letter_config).arn == "arn:aws:sqs:eu-west-1:000000000000:facts-dlq"
    error_message = "Facts go to their queue, and to its dead letters where it cannot be reached."
  }

  # The stream publishes new facts and nothing else.
  assert {
    condition = jsondecode(one(one(aws_lambda_event_source_mapping.stream.filter_criteria).filter).pattern) == {
      eventName = ["INSERT"]
      dynamodb  = { Keys = { pk = { S = [{ prefix = "fact/" }] } } }
    }
    error_message = "Records that change are nobody's fact."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.stream.event_source_arn == aws_dynamodb_table.dispatch.stream_arn
    error_message = "The stream is the table's."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.stream.bisect_batch_on_function_error
      && aws_lambda_event_source_mapping.stream.function_response_types == toset(["ReportBatchItemFailures"])
      && aws_lambda_event_source_mapping.stream.starting_position == "TRIM_HORIZON"
      && one(one(aws_lambda_event_source_mapping.stream.destination_config).on_failure).destination_arn == "arn:aws:sqs:eu-west-1:000000000000:publisher-dlq"
    )
    error_message = "One bad record is found, and parked; none is skipped."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.stream.maximum_record_age_in_seconds < 24 * 60 * 60
    error_message = "The dead letter names a place in the stream, which forgets it after a day."
  }
}
