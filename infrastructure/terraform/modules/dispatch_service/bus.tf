# Facts as CloudEvents on a bus of their own, for whoever wants to listen; and the clock.

resource "aws_cloudwatch_event_bus" "facts" {
  name = var.name
}

resource "aws_cloudwatch_event_rule" "facts" {
  name           = "${var.name}-facts"
  description    = "Facts to the queue of the read models"
  event_bus_name = aws_cloudwatch_event_bus.facts.name
  event_pattern  = jsonencode({ source = ["dispatch"] })
}

resource "aws_cloudwatch_event_target" "facts" {
  rule           = aws_cloudwatch_event_rule.facts.name
  event_bus_name = aws_cloudwatch_event_bus.facts.name
  target_id      = "facts"
  arn            = aws_sqs_queue.work["facts"].arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters["facts"].arn
  }
}

resource "aws_scheduler_schedule_group" "chores" {
  name = var.name
}

resource "aws_scheduler_schedule" "chores" {
  for_each = var.schedules

  name                = "${var.name}-${each.key}"
  group_name          = aws_scheduler_schedule_group.chores.name
  schedule_expression = each.value

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.functions["schedule"].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ chore = each.key })

    # Each chore comes again by itself: one that is late is not wanted twice.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }
}

resource "aws_lambda_function_event_invoke_config" "schedule" {
  function_name                = aws_lambda_function.functions["schedule"].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

resource "aws_iam_role" "scheduler" {
  name = "${var.name}-scheduler"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = {
        "aws:SourceAccount" = local.account_id
        "aws:SourceArn"     = aws_scheduler_schedule_group.chores.arn
      } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "invoke"
  role = aws_iam_role.scheduler.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = aws_lambda_function.functions["schedule"].arn
    }]
  })
}
