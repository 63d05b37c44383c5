# One image, seven functions: each is told what it needs, is seen, and missed when it fails.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  settings        = { MAX_EVENT_AGE = "12h" }
  alarm_topic_arn = "arn:aws:sns:eu-west-1:000000000000:somebody"
}

run "each_function_is_told_what_it_needs_and_is_missed_when_it_fails" {
  # There are seven functions of one image.
  assert {
    condition     = toset(keys(aws_lambda_function.functions)) == toset(["ingress", "planner", "dispatcher", "facts", "admin", "schedule", "publisher"])
    error_message = "The functions are those that the binary knows."
  }

  assert {
    condition = alltrue([for name, function in aws_lambda_function.functions :
      one(function.image_config).command == tolist([name]) && function.package_type == "Image" && function.architectures == tolist(["arm64"])
      && function.image_uri == "registry.example/dispatch:v1.2.3"
    ])
    error_message = "Each is the image, told apart by its command."
  }

  # Each function is told what it needs and nothing else.
  assert {
    condition = { for name, function in aws_lambda_function.functions : name => sort(keys(one(function.environment).variables)) } == {
      ingress    = sort(["LOG_LEVEL", "TABLE_NAME", "RETENTION_DAYS", "REQUESTS_QUEUE_URL", "TARGETS_QUEUE_URL", "GITHUB_WEBHOOK_SECRET_ARN", "GITHUB_APP_ID", "GITHUB_APP_SLUG", "OWNER_ALLOWLIST", "MAX_EVENT_AGE"])
      planner    = sort(["LOG_LEVEL", "TABLE_NAME", "RETENTION_DAYS", "REQUESTS_QUEUE_URL", "TARGETS_QUEUE_URL", "GITHUB_APP_PRIVATE_KEY_ARN", "GITHUB_APP_ID", "GITHUB_APP_SLUG", "OWNER_ALLOWLIST", "MAX_EVENT_AGE"])
      dispatcher = sort(["LOG_LEVEL", "TABLE_NAME", "RETENTION_DAYS", "REQUESTS_QUEUE_URL", "TARGETS_QUEUE_URL", "GITHUB_APP_PRIVATE_KEY_ARN", "GITHUB_APP_ID", "GITHUB_APP_SLUG", "OWNER_ALLOWLIST", "MAX_EVENT_AGE"])
      schedule   = sort(["LOG_LEVEL", "TABLE_NAME", "RETENTION_DAYS", "REQUESTS_QUEUE_URL", "TARGETS_QUEUE_URL", "GITHUB_APP_PRIVATE_KEY_ARN", "GITHUB_APP_ID", "GITHUB_APP_SLUG", "OWNER_ALLOWLIST", "MAX_EVENT_AGE"])
      admin      = sort(["LOG_LEVEL", "TABLE_NAME", "RETENTION_DAYS", "REQUESTS_QUEUE_URL", "TARGETS_QUEUE_URL", "ADMIN_TOKEN_ARN", "GITHUB_APP_ID", "GITHUB_APP_SLUG", "OWNER_ALLOWLIST", "MAX_EVENT_AGE"])
      facts      = sort(["LOG_LEVEL", "TABLE_NAME", "RETENTION_DAYS"])
      publisher  = sort(["LOG_LEVEL", "EVENT_BUS_NAME"])
    }
    error_message = "A function is told too much, or too little."
  }

  assert {
    condition = (
      one(aws_lambda_function.functions["planner"].environment).variables.REQUESTS_QUEUE_URL == "https://sqs.example/requests"
      && one(aws_lambda_function.functions["planner"].environment).variables.TARGETS_QUEUE_URL == "https://sqs.example/targets"
      && one(aws_lambda_function.functions["planner"].environment).variables.TABLE_NAME == "dispatch"
      && one(aws_lambda_function.functions["planner"].environment).variables.OWNER_ALLOWLIST == "acme"
      && one(aws_lambda_function.functions["publisher"].environment).variables.EVENT_BUS_NAME == "dispatch"
    )
    error_message = "The values are those of this deployment."
  }

  # Every function logs for a while and is missed when it fails.
  assert {
    condition = alltrue([for name, function in aws_lambda_function.functions :
      one(function.logging_config).log_group == "/aws/lambda/dispatch-${name}" && aws_cloudwatch_log_group.functions[name].name == "/aws/lambda/dispatch-${name}"
    ])
    error_message = "Each function writes to its own log group."
  }

  assert {
    condition     = alltrue([for group in concat(values(aws_cloudwatch_log_group.functions), [aws_cloudwatch_log_group.http]) : group.retention_in_days == 30])
    error_message = "Logs are not kept for ever."
  }

  assert {
    condition = alltrue(flatten([for name, function in aws_lambda_function.functions : [for metric, key in { Errors = "errors", Throttles = "throttles" } :
      aws_cloudwatch_metric_alarm.all["${name}-${key}"].metric_name == metric
      && aws_cloudwatch_metric_alarm.all["${name}-${key}"].dimensions == tomap({ FunctionName = "dispatch-${name}" })
      && aws_cloudwatch_metric_alarm.all["${name}-${key}"].threshold == 0
    ]]))
    error_message = "Each function has an alarm for errors and one for throttles."
  }

  # Waiting and given up work is missed.
  assert {
    condition = alltrue([for name, queue in aws_sqs_queue.dead_letters :
      aws_cloudwatch_metric_alarm.all["${name}-dead-letters"].metric_name == "ApproximateNumberOfMessagesVisible"
      && aws_cloudwatch_metric_alarm.all["${name}-dead-letters"].dimensions == tomap({ QueueName = queue.name })
      && aws_cloudwatch_metric_alarm.all["${name}-dead-letters"].threshold == 0
    ])
    error_message = "One dead letter is enough."
  }

  assert {
    condition = alltrue([for name, queue in aws_sqs_queue.work :
      aws_cloudwatch_metric_alarm.all["${name}-oldest-message"].metric_name == "ApproximateAgeOfOldestMessage"
      && aws_cloudwatch_metric_alarm.all["${name}-oldest-message"].dimensions == tomap({ QueueName = queue.name })
    ])
    error_message = "Each queue has an alarm for its oldest message."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.all["publisher-oldest-record"].metric_name == "IteratorAge"
    error_message = "Facts that do not get out are missed."
  }

  # Alarms go where they are told to.
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.all : alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:000000000000:somebody"])])
    error_message = "Every alarm is sent."
  }

  # The chores are done in time.
  assert {
    condition = { for name, schedule in aws_scheduler_schedule.chores : name => [schedule.schedule_expression, one(schedule.target).input] } == {
      overdue = ["rate(1 minute)", "{\"chore\":\"overdue\"}"]
      recover = ["rate(10 minutes)", "{\"chore\":\"recover\"}"]
      expire  = ["rate(1 hour)", "{\"chore\":\"expire\"}"]
      sweep   = ["rate(1 day)", "{\"chore\":\"sweep\"}"]
    }
    error_message = "A chore is missing, or comes at another time."
  }
}
