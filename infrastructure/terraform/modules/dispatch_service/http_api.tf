# The HTTP API: webhooks in, and the dashboard.

locals {
  routes = {
    "POST /webhooks/github" = "ingress"
    "GET /health"           = "ingress"
    "ANY /admin"            = "admin"
    "ANY /admin/{proxy+}"   = "admin"
  }
}

resource "aws_apigatewayv2_api" "http" {
  name          = var.name
  protocol_type = "HTTP"

  # With a name of its own it has one address and not two.
  disable_execute_api_endpoint = var.domain != null
}

resource "aws_apigatewayv2_integration" "functions" {
  for_each = toset(values(local.routes))

  api_id                 = aws_apigatewayv2_api.http.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.functions[each.key].invoke_arn
  payload_format_version = "2.0"
}

# Who may call is decided by the functions: webhooks are signed, and the dashboard has its token.
resource "aws_apigatewayv2_route" "routes" {
  for_each = local.routes

  api_id             = aws_apigatewayv2_api.http.id
  route_key          = each.key
  authorization_type = "NONE"
  target             = "integrations/${aws_apigatewayv2_integration.functions[each.value].id}"
}

resource "aws_lambda_permission" "routes" {
  for_each = local.routes

  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.functions[each.value].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.http.execution_arn}/*/${replace(replace(each.key, "ANY", "*"), " ", "")}"
}

resource "aws_cloudwatch_log_group" "http" {
  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.http.id
  name        = "$default"
  auto_deploy = true

  # Neither headers nor paths with their parameters: tokens and signatures are in those.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.http.arn
    format = jsonencode({
      request_id        = "$context.requestId"
      time              = "$context.requestTime"
      source_ip         = "$context.identity.sourceIp"
      route             = "$context.routeKey"
      status            = "$context.status"
      response_bytes    = "$context.responseLength"
      latency_ms        = "$context.responseLatency"
      integration_error = "$context.integrationErrorMessage"
    })
  }

  default_route_settings {
    throttling_rate_limit  = var.throttle.rate
    throttling_burst_limit = var.throttle.burst
  }
}

resource "aws_apigatewayv2_domain_name" "own" {
  count = var.domain == null ? 0 : 1

  domain_name = var.domain.name

  domain_name_configuration {
    certificate_arn = var.domain.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "own" {
  count = var.domain == null ? 0 : 1

  api_id      = aws_apigatewayv2_api.http.id
  domain_name = aws_apigatewayv2_domain_name.own[0].id
  stage       = aws_apigatewayv2_stage.default.id
}

resource "aws_route53_record" "own" {
  for_each = try(var.domain.zone_id, null) == null ? toset([]) : toset(["A"])

  zone_id = var.domain.zone_id
  name    = var.domain.name
  type    = each.key

  # By `lookup`, since AWS tells these two, and they are no arguments of the block.
  alias {
    name                   = lookup(aws_apigatewayv2_domain_name.own[0].domain_name_configuration[0], "target_domain_name", null)
    zone_id                = lookup(aws_apigatewayv2_domain_name.own[0].domain_name_configuration[0], "hosted_zone_id", null)
    evaluate_target_health = false
  }
}
