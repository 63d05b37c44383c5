# What a person has to know about. An alarm is quiet again when its cause is gone.

locals {
  alarm_actions = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]

  alarms = merge(
    { for name, queue in aws_sqs_queue.dead_letters : "${name}-dead-letters" => {
      description = "Work was given up and waits for somebody"
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum"
      dimensions  = { QueueName = queue.name }
      threshold   = 0
    } },
    { for name, queue in aws_sqs_queue.work : "${name}-oldest-message" => {
      description = "Work is not done in time"
      namespace   = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", statistic = "Maximum"
      dimensions  = { QueueName = queue.name }
      threshold   = var.oldest_message_seconds
    } },
    { for name, function in aws_lambda_function.functions : "${name}-errors" => {
      description = "Calls of the function failed"
      namespace   = "AWS/Lambda", metric = "Errors", statistic = "Sum"
      dimensions  = { FunctionName = function.function_name }
      threshold   = 0
    } },
    { for name, function in aws_lambda_function.functions : "${name}-throttles" => {
      description = "The account has no instance left for the function"
      namespace   = "AWS/Lambda", metric = "Throttles", statistic = "Sum"
      dimensions  = { FunctionName = function.function_name }
      threshold   = 0
    } },
    {
      publisher-oldest-record = {
        description = "Facts do not get out of the table"
        namespace   = "AWS/Lambda", metric = "IteratorAge", statistic = "Maximum"
        dimensions  = { FunctionName = aws_lambda_function.functions["publisher"].function_name }
        threshold   = 1000 * var.oldest_message_seconds
      }
      http-failures = {
        description = "Webhooks or pages were answered with 5xx; GitHub's log has the webhooks, and the chore `recover` asks for them again"
        namespace   = "AWS/ApiGateway", metric = "5xx", statistic = "Sum"
        dimensions  = { ApiId = aws_apigatewayv2_api.http.id }
        threshold   = 0
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "all" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  dimensions          = each.value.dimensions
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}
