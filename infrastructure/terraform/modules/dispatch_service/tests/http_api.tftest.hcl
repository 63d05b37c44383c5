# What the world may reach.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "webhooks_health_and_the_dashboard_are_reached_and_nothing_else" {
  # Only webhooks health and the dashboard are reached.
  assert {
    condition = toset(keys(aws_apigatewayv2_route.routes)) == toset([
      "POST /webhooks/github", "GET /health", "ANY /admin", "ANY /admin/{proxy+}",
    ])
    error_message = "There is a route too many, or too few."
  }

  assert {
    condition     = alltrue([for name, permission in aws_lambda_permission.routes : permission.function_name == (strcontains(name, "/admin") ? "dispatch-admin" : "dispatch-ingress")])
    error_message = "Each route reaches its function."
  }

  assert {
    condition = { for name, permission in aws_lambda_permission.routes : name => trimprefix(permission.source_arn, "arn:aws:execute-api:eu-west-1:000000000000:api") } == {
      "POST /webhooks/github" = "/*/POST/webhooks/github"
      "GET /health"           = "/*/GET/health"
      "ANY /admin"            = "/*/*/admin"
      "ANY /admin/{proxy+}"   = "/*/*/admin/{proxy+}"
    }
    error_message = "A function is called by its own routes only."
  }

  # Requests are counted and told without secrets.
  assert {
    condition     = aws_apigatewayv2_stage.default.name == "$default" && one(aws_apigatewayv2_stage.default.default_route_settings).throttling_rate_limit == 50 && one(aws_apigatewayv2_stage.default.default_route_settings).throttling_burst_limit == 200
    error_message = "Requests are throttled."
  }

  assert {
    condition     = length(jsondecode(one(aws_apigatewayv2_stage.default.access_log_settings).format)) > 5
    error_message = "The access log is JSON."
  }

  assert {
    condition     = length(regexall("header|authorizer|\\.path|querystring", lower(one(aws_apigatewayv2_stage.default.access_log_settings).format))) == 0
    error_message = "Nothing that could hold a signature or a token is logged."
  }

  # Without a name of its own the service has that of the api.
  assert {
    condition     = output.url == "https://api.example" && !aws_apigatewayv2_api.http.disable_execute_api_endpoint
    error_message = "The API's own address is open."
  }

  assert {
    condition     = length(aws_apigatewayv2_domain_name.own) + length(aws_route53_record.own) == 0
    error_message = "Nothing is made that was not asked for."
  }
}

run "with_a_name_of_its_own_it_has_no_other" {
  variables {
    domain = { name = "dispatch.example.com", certificate_arn = "arn:aws:acm:eu-west-1:000000000000:certificate/some", zone_id = "zone" }
  }

  override_resource {
    target = aws_apigatewayv2_domain_name.own[0]
    values = { id = "dispatch.example.com" }
  }

  assert {
    condition     = output.url == "https://dispatch.example.com" && aws_apigatewayv2_api.http.disable_execute_api_endpoint
    error_message = "The API's own address is closed."
  }

  assert {
    condition     = one(aws_apigatewayv2_domain_name.own[0].domain_name_configuration).security_policy == "TLS_1_2"
    error_message = "Old versions of TLS are not spoken."
  }

  assert {
    condition     = keys(aws_route53_record.own) == ["A"]
    error_message = "The zone has the name."
  }
}

run "the_name_may_be_in_a_zone_elsewhere" {
  variables {
    domain = { name = "dispatch.example.com", certificate_arn = "arn:aws:acm:eu-west-1:000000000000:certificate/some" }
  }

  assert {
    condition     = length(aws_apigatewayv2_api_mapping.own) == 1 && length(aws_route53_record.own) == 0
    error_message = "Without a zone there is no record."
  }
}
