# One role for each function. What it may do is in permissions.json: `calls` are the function's own, `trigger` is what Lambda
# does in its name to read a queue or the stream. What a transaction does is allowed as the actions that it is made of (Amazon
# DynamoDB Developer Guide, "Using IAM with DynamoDB transactions"). `calls` are exactly what the functions ask for: the tests
# of dispatch-lambda compare them with what an emulation of AWS was asked.

locals {
  permissions = jsondecode(file("${path.module}/permissions.json"))

  resources = {
    table  = [aws_dynamodb_table.dispatch.arn]
    stream = [aws_dynamodb_table.dispatch.stream_arn]
    # A list is asked for by the table and not by the stream.
    streams = ["${aws_dynamodb_table.dispatch.arn}/stream/*"]

    # A query of an index is allowed on the index, and does not need the table.
    index_work        = ["${aws_dynamodb_table.dispatch.arn}/index/work"]
    index_work_by_key = ["${aws_dynamodb_table.dispatch.arn}/index/work_by_key"]

    requests               = [aws_sqs_queue.work["requests"].arn]
    targets                = [aws_sqs_queue.work["targets"].arn]
    facts                  = [aws_sqs_queue.work["facts"].arn]
    publisher_dead_letters = [aws_sqs_queue.dead_letters["publisher"].arn]

    bus             = [aws_cloudwatch_event_bus.facts.arn]
    webhook_secret  = [local.secret_arns.webhook_secret]
    app_private_key = [local.secret_arns.app_private_key]
    admin_token     = [local.secret_arns.admin_token]
  }
}

resource "aws_iam_role" "functions" {
  for_each = local.functions

  name = "${var.name}-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "functions" {
  for_each = local.functions

  name = "function"
  role = aws_iam_role.functions[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      flatten([for purpose in ["calls", "trigger"] : [
        for resource, actions in local.permissions[each.key][purpose] : {
          Sid      = join("", [for word in split("_", "${purpose}_${resource}") : title(word)])
          Effect   = "Allow"
          Action   = actions
          Resource = local.resources[resource]
        }
      ]]),
      [{
        Sid      = "OwnLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.functions[each.key].arn}:*"]
      }],
    )
  })
}
