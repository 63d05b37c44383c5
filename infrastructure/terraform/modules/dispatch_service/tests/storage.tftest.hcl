# What is kept is encrypted, can be brought back, and is not overwritten.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "what_is_kept_is_safe" {
  # The table is as the store expects it.
  assert {
    condition     = aws_dynamodb_table.dispatch.hash_key == "pk" && aws_dynamodb_table.dispatch.range_key == "sk"
    error_message = "The keys are pk and sk."
  }

  assert {
    condition = { for index in aws_dynamodb_table.dispatch.global_secondary_index : index.name => [index.hash_key, index.range_key, index.projection_type, join(" ", sort(coalesce(index.non_key_attributes, [])))] } == {
      work        = ["wq", "wd", "INCLUDE", "lane v"]
      work_by_key = ["wq", "key", "KEYS_ONLY", ""]
    }
    error_message = "Two indexes find the work: by when it is due, and by its key."
  }

  assert {
    condition     = { for attribute in aws_dynamodb_table.dispatch.attribute : attribute.name => attribute.type } == { pk = "S", sk = "S", wq = "S", wd = "S", key = "S" }
    error_message = "All keys are strings."
  }

  assert {
    condition     = aws_dynamodb_table.dispatch.stream_enabled && aws_dynamodb_table.dispatch.stream_view_type == "NEW_IMAGE"
    error_message = "Facts leave by the stream."
  }

  assert {
    condition     = one(aws_dynamodb_table.dispatch.ttl).enabled && one(aws_dynamodb_table.dispatch.ttl).attribute_name == "ttl"
    error_message = "What is old goes by itself."
  }

  assert {
    condition     = aws_dynamodb_table.dispatch.billing_mode == "PAY_PER_REQUEST"
    error_message = "The table is paid by request."
  }

  # The table can be brought back and is protected.
  assert {
    condition     = one(aws_dynamodb_table.dispatch.point_in_time_recovery).enabled
    error_message = "Point-in-time recovery is on."
  }

  assert {
    condition     = one(aws_dynamodb_table.dispatch.server_side_encryption).enabled
    error_message = "Encryption with a key that CloudTrail shows is on."
  }

  assert {
    condition     = aws_dynamodb_table.dispatch.deletion_protection_enabled
    error_message = "Who does not say otherwise has deletion protection."
  }

  # A release is one image for good.
  assert {
    condition     = aws_ecr_repository.images.image_tag_mutability == "IMMUTABLE"
    error_message = "A tag cannot be moved to another image."
  }

  assert {
    condition     = one(aws_ecr_repository.images.image_scanning_configuration).scan_on_push
    error_message = "Images are scanned."
  }

  assert {
    condition     = jsondecode(aws_ecr_repository_policy.images.policy).Statement[0].Condition.StringLike["aws:SourceArn"] == "arn:aws:lambda:eu-west-1:000000000000:function:dispatch-*"
    error_message = "Images are read by Lambda, for these functions only."
  }

  assert {
    condition     = length(jsondecode(aws_ecr_lifecycle_policy.images.policy).rules) == 2
    error_message = "Old images go."
  }

  # Secrets are made empty.
  assert {
    condition     = toset(keys(aws_secretsmanager_secret.made)) == toset(["webhook_secret", "app_private_key", "admin_token"])
    error_message = "There is a secret for each value that only people know."
  }

  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.made : secret.recovery_window_in_days == 30])
    error_message = "A deleted secret can be brought back."
  }
}

run "a_secret_that_exists_is_used_and_not_made" {
  variables {
    secret_arns = { admin_token = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:given" }
  }

  assert {
    condition     = !contains(keys(aws_secretsmanager_secret.made), "admin_token")
    error_message = "It is not made again."
  }

  assert {
    condition     = aws_lambda_function.functions["admin"].environment[0].variables.ADMIN_TOKEN_ARN == "arn:aws:secretsmanager:eu-west-1:000000000000:secret:given"
    error_message = "The function reads the one that was given."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.functions["admin"].policy, "secret:given") && !strcontains(aws_iam_role_policy.functions["admin"].policy, "secret:made")
    error_message = "The function may read the one that was given, and no other."
  }
}
