# The functions: one image, told apart by the command.

locals {
  # What a function is told besides where its own work comes from. Each gets what it needs and nothing else.
  environment = {
    store         = { TABLE_NAME = aws_dynamodb_table.dispatch.name, RETENTION_DAYS = tostring(var.retention_days) }
    queues        = { for name in ["requests", "targets"] : "${upper(name)}_QUEUE_URL" => aws_sqs_queue.work[name].url }
    bus           = { EVENT_BUS_NAME = aws_cloudwatch_event_bus.facts.name }
    webhook       = { GITHUB_WEBHOOK_SECRET_ARN = local.secret_arns.webhook_secret }
    github        = { GITHUB_APP_PRIVATE_KEY_ARN = local.secret_arns.app_private_key }
    administrator = { ADMIN_TOKEN_ARN = local.secret_arns.admin_token }
    limits = merge(var.settings, {
      GITHUB_APP_ID   = tostring(var.github_app_id)
      GITHUB_APP_SLUG = var.github_app_slug
      OWNER_ALLOWLIST = join(",", var.owner_allowlist)
    })
  }

  # `timeout` in seconds, `memory` in MB: CPU comes with it. GitHub waits ten seconds for the answer to a webhook.
  functions = {
    ingress    = { timeout = 10, memory = 512, environment = ["store", "queues", "webhook", "limits"] }
    planner    = { timeout = 60, memory = 512, environment = ["store", "queues", "github", "limits"] }
    dispatcher = { timeout = 60, memory = 512, environment = ["store", "queues", "github", "limits"] }
    facts      = { timeout = 30, memory = 256, environment = ["store"] }
    admin      = { timeout = 15, memory = 512, environment = ["store", "queues", "administrator", "limits"] }
    schedule   = { timeout = 300, memory = 512, environment = ["store", "queues", "github", "limits"] }
    publisher  = { timeout = 30, memory = 256, environment = ["bus"] }
  }
}

resource "aws_cloudwatch_log_group" "functions" {
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "functions" {
  for_each = local.functions

  function_name = "${var.name}-${each.key}"
  role          = aws_iam_role.functions[each.key].arn
  package_type  = "Image"
  image_uri     = "${aws_ecr_repository.images.repository_url}:${var.image_tag}"
  architectures = ["arm64"]
  timeout       = each.value.timeout
  memory_size   = each.value.memory

  reserved_concurrent_executions = lookup(var.reserved_concurrency, each.key, -1)

  image_config {
    command = [each.key]
  }

  environment {
    variables = merge({ LOG_LEVEL = var.log_level }, [for part in each.value.environment : local.environment[part]]...)
  }

  # Lambda's own lines about each call are left out: its metrics tell the same, and lines are paid for.
  logging_config {
    log_format       = "JSON"
    log_group        = aws_cloudwatch_log_group.functions[each.key].name
    system_log_level = "WARN"
  }

  depends_on = [aws_ecr_repository_policy.images, aws_iam_role_policy.functions]
}

resource "aws_lambda_event_source_mapping" "queues" {
  for_each = local.queues

  event_source_arn        = aws_sqs_queue.work[each.key].arn
  function_name           = aws_lambda_function.functions[each.value].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency[each.value]
  }
}

resource "aws_lambda_event_source_mapping" "stream" {
  event_source_arn        = aws_dynamodb_table.dispatch.stream_arn
  function_name           = aws_lambda_function.functions["publisher"].arn
  starting_position       = "TRIM_HORIZON"
  batch_size              = 100
  function_response_types = ["ReportBatchItemFailures"]

  # What cannot be published holds up its shard. It is halved until the one record is alone, and tried for six hours; the dead
  # letter then names its place in the stream, which keeps it for eighteen more.
  bisect_batch_on_function_error = true
  maximum_record_age_in_seconds  = 6 * 60 * 60

  filter_criteria {
    filter {
      pattern = jsonencode({
        eventName = ["INSERT"]
        dynamodb  = { Keys = { pk = { S = [{ prefix = "fact/" }] } } }
      })
    }
  }

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.dead_letters["publisher"].arn
    }
  }
}
