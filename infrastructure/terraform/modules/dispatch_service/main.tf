# dispatch on AWS: one image, seven functions, one table, three queues, one bus. Each file here is one topic; which function
# may do what is in permissions.json, and what starts each function is in lambda.tf, queues.tf, bus.tf and http_api.tf.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id

  # The work, and the function that does it.
  queues = {
    requests = "planner"
    targets  = "dispatcher"
    facts    = "facts"
  }
}
