# What AWS would answer, in a form that the provider accepts: the account is nobody's.

mock_data "aws_caller_identity" {
  defaults = { account_id = "000000000000" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_region" {
  defaults = { region = "eu-west-1" }
}

mock_resource "aws_ecr_repository" {
  defaults = { repository_url = "registry.example/dispatch" }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn        = "arn:aws:dynamodb:eu-west-1:000000000000:table/dispatch"
    stream_arn = "arn:aws:dynamodb:eu-west-1:000000000000:table/dispatch/stream/2026-01-01T00:00:00.000"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-west-1:000000000000:some"
    url = "https://sqs.example/some"
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = { arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:made" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::000000000000:role/some" }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn        = "arn:aws:lambda:eu-west-1:000000000000:function:some"
    invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:000000000000:function:some/invocations"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:000000000000:log-group:some" }
}

mock_resource "aws_cloudwatch_event_bus" {
  defaults = { arn = "arn:aws:events:eu-west-1:000000000000:event-bus/dispatch" }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = { arn = "arn:aws:events:eu-west-1:000000000000:rule/dispatch/dispatch-facts" }
}

mock_resource "aws_scheduler_schedule_group" {
  defaults = { arn = "arn:aws:scheduler:eu-west-1:000000000000:schedule-group/dispatch" }
}

mock_resource "aws_apigatewayv2_api" {
  defaults = {
    api_endpoint  = "https://api.example"
    execution_arn = "arn:aws:execute-api:eu-west-1:000000000000:api"
  }
}

override_resource {
  target = aws_sqs_queue.work["requests"]
  values = { arn = "arn:aws:sqs:eu-west-1:000000000000:requests", url = "https://sqs.example/requests" }
}

override_resource {
  target = aws_sqs_queue.work["targets"]
  values = { arn = "arn:aws:sqs:eu-west-1:000000000000:targets", url = "https://sqs.example/targets" }
}

override_resource {
  target = aws_sqs_queue.work["facts"]
  values = { arn = "arn:aws:sqs:eu-west-1:000000000000:facts", url = "https://sqs.example/facts" }
}

override_resource {
  target = aws_sqs_queue.dead_letters["requests"]
  values = { arn = "arn:aws:sqs:eu-west-1:000000000000:requests-dlq", url = "https://sqs.example/requests-dlq" }
}

override_resource {
  target = aws_sqs_queue.dead_letters["targets"]
  values = { arn = "arn:aws:sqs:eu-west-1:000000000000:targets-dlq", url = "https://sqs.example/targets-dlq" }
}

override_resource {
  target = aws_sqs_queue.dead_letters["facts"]
  values = { arn = "arn:aws:sqs:eu-west-1:000000000000:facts-dlq", url = "https://sqs.example/facts-dlq" }
}

override_resource {
  target = aws_sqs_queue.dead_letters["publisher"]
  values = { arn = "arn:aws:sqs:eu-west-1:000000000000:publisher-dlq", url = "https://sqs.example/publisher-dlq" }
}

override_resource {
  target = aws_cloudwatch_log_group.functions["ingress"]
  values = { arn = "arn:aws:logs:eu-west-1:000000000000:log-group:ingress" }
}

override_resource {
  target = aws_cloudwatch_log_group.functions["planner"]
  values = { arn = "arn:aws:logs:eu-west-1:000000000000:log-group:planner" }
}

override_resource {
  target = aws_secretsmanager_secret.made["webhook_secret"]
  values = { arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:webhook_secret" }
}

override_resource {
  target = aws_secretsmanager_secret.made["app_private_key"]
  values = { arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:app_private_key" }
}

override_resource {
  target = aws_secretsmanager_secret.made["admin_token"]
  values = { arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:admin_token" }
}
