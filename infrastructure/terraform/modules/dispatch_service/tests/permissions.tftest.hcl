# Each function may do what it does, and nothing else.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "each_function_may_do_what_it_does_and_nothing_else" {
  # The list of permissions is about the functions that there are.
  assert {
    condition     = toset(keys(local.permissions)) == toset(keys(aws_lambda_function.functions))
    error_message = "permissions.json and the functions are about the same."
  }

  assert {
    condition     = alltrue([for permissions in values(local.permissions) : toset(keys(permissions)) == toset(["calls", "trigger"])])
    error_message = "A permission is for a call of the function, or for what starts it."
  }

  assert {
    condition = { for name, policy in aws_iam_role_policy.functions : name => toset([
      for pair in flatten([for statement in jsondecode(policy.policy).Statement : statement.Action]) : pair
      ]) } == { for name, permissions in local.permissions : name => toset(concat(
      flatten([for purpose in values(permissions) : values(purpose)]), ["logs:CreateLogStream", "logs:PutLogEvents"]
    )) }
    error_message = "A role allows more, or less, than the list and its own logs."
  }

  # Nothing is allowed everywhere.
  assert {
    condition = alltrue(flatten([for policy in aws_iam_role_policy.functions : [for statement in jsondecode(policy.policy).Statement :
      [for resource in statement.Resource : startswith(resource, "arn:") && resource != "*"]
    ]]))
    error_message = "Each permission names what it is about."
  }

  assert {
    condition     = alltrue(flatten([for policy in aws_iam_role_policy.functions : [for statement in jsondecode(policy.policy).Statement : [for action in statement.Action : !strcontains(action, "*")]]]))
    error_message = "No action is a pattern."
  }

  # A pattern is right at the end only, where AWS has names that nobody knows before.
  assert {
    condition = toset([for resource in flatten([for policy in aws_iam_role_policy.functions : [for statement in jsondecode(policy.policy).Statement : statement.Resource]]) :
      resource if strcontains(resource, "*") && !startswith(resource, "arn:aws:logs:")
    ]) == toset(["arn:aws:dynamodb:eu-west-1:000000000000:table/dispatch/stream/*"])
    error_message = "A resource is a pattern."
  }

  assert {
    condition     = length([for action in flatten([for policy in aws_iam_role_policy.functions : [for statement in jsondecode(policy.policy).Statement : statement.Action]]) : action if can(regex("^iam:|Scan|Table$", action))]) == 0
    error_message = "Nobody reads a whole table, changes a table, or gives permissions."
  }

  # Each function writes to its own log.
  assert {
    condition = alltrue([for name in ["ingress", "planner"] : [
      for statement in jsondecode(aws_iam_role_policy.functions[name].policy).Statement : statement.Resource if statement.Sid == "OwnLogs"
    ] == [["arn:aws:logs:eu-west-1:000000000000:log-group:${name}:*"]]])
    error_message = "A function may write to another one's log."
  }

  # A secret is read by those who need it.
  assert {
    condition = { for name, policy in aws_iam_role_policy.functions : name => flatten([
      for statement in jsondecode(policy.policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:secretsmanager:eu-west-1:000000000000:secret:")]
      if contains(statement.Action, "secretsmanager:GetSecretValue")
      ]) } == {
      ingress    = ["webhook_secret"]
      planner    = ["app_private_key"]
      dispatcher = ["app_private_key"]
      schedule   = ["app_private_key"]
      admin      = ["admin_token"]
      facts      = []
      publisher  = []
    }
    error_message = "A function may read a secret that is not its own."
  }

  # Each queue is read by its function alone.
  assert {
    condition = { for name, policy in aws_iam_role_policy.functions : name => flatten([
      for statement in jsondecode(policy.policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:sqs:eu-west-1:000000000000:")]
      if contains(statement.Action, "sqs:ReceiveMessage")
      ]) } == {
      planner    = ["requests"]
      dispatcher = ["targets"]
      facts      = ["facts"]
      ingress    = []
      schedule   = []
      admin      = []
      publisher  = []
    }
    error_message = "A function may take another one's work."
  }

  # Work is paged through by its key, and what is overdue is found by its time.
  assert {
    condition = { for name, policy in aws_iam_role_policy.functions : name => flatten([
      for statement in jsondecode(policy.policy).Statement : [
        for resource in statement.Resource : [for action in statement.Action : "${action} ${trimprefix(resource, "arn:aws:dynamodb:eu-west-1:000000000000:table/dispatch/index/")}"]
        if strcontains(resource, "/index/")
      ]
      ]) } == {
      planner    = ["dynamodb:Query work_by_key"]
      admin      = ["dynamodb:Query work_by_key"]
      schedule   = ["dynamodb:Query work"]
      ingress    = []
      dispatcher = []
      facts      = []
      publisher  = []
    }
    error_message = "A function may use an index that it does not need."
  }

  # Work is announced to those who do it by whoever makes it: what a webhook leaves to do is decided first.
  assert {
    condition = { for name, policy in aws_iam_role_policy.functions : name => flatten([
      for statement in jsondecode(policy.policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:sqs:eu-west-1:000000000000:")]
      if contains(statement.Action, "sqs:SendMessage")
      ]) } == {
      ingress    = ["requests"]
      planner    = ["requests", "targets"]
      dispatcher = ["targets"]
      admin      = ["requests", "targets"]
      schedule   = ["requests", "targets"]
      facts      = []
      publisher  = ["publisher-dlq"]
    }
    error_message = "A function may send what it has no reason to."
  }

  # Nobody but the publisher reads the stream or uses the bus.
  assert {
    condition = [for name, policy in aws_iam_role_policy.functions : name
      if strcontains(policy.policy, "events:PutEvents") || strcontains(policy.policy, "/stream/") || strcontains(policy.policy, "publisher-dlq")
    ] == ["publisher"]
    error_message = "Facts take one way out."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.functions["publisher"].policy, "dynamodb:PutItem") && !strcontains(aws_iam_role_policy.functions["publisher"].policy, "dynamodb:GetItem")
    error_message = "The publisher sees the stream, not the table."
  }

  # Roles are taken by the service that they are for.
  assert {
    condition     = alltrue([for role in aws_iam_role.functions : [for statement in jsondecode(role.assume_role_policy).Statement : statement.Principal] == [{ Service = "lambda.amazonaws.com" }]])
    error_message = "A function's role is Lambda's to take."
  }

  assert {
    condition = jsondecode(aws_iam_role.scheduler.assume_role_policy).Statement[0].Condition.StringEquals == {
      "aws:SourceAccount" = "000000000000"
      "aws:SourceArn"     = "arn:aws:scheduler:eu-west-1:000000000000:schedule-group/dispatch"
    }
    error_message = "The scheduler acts for the schedules of this group only."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.scheduler.policy).Statement : [statement.Action, statement.Resource]] == [["lambda:InvokeFunction", aws_lambda_function.functions["schedule"].arn]]
    error_message = "The scheduler starts one function."
  }
}
