# Mistakes are told before anything is made.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "each_mistake_is_told" {
  command = plan

  variables {
    name                 = "Dispatch"
    image_tag            = "latest" # a tag that moves
    github_app_id        = 0
    owner_allowlist      = []                         # nobody is served by chance
    settings             = { TABLE_NAME = "another" } # what the module sets is not set twice
    maximum_concurrency  = { planner = 1 }            # less than SQS takes
    maximum_receives     = 1                          # throttling alone would park work
    retention_days       = 3                          # less than GitHub's log of deliveries reaches
    secret_recovery_days = 0
    schedules            = { sweep = "daily" }
  }

  expect_failures = [
    var.name, var.image_tag, var.github_app_id, var.owner_allowlist, var.settings, var.maximum_concurrency, var.maximum_receives,
    var.retention_days, var.secret_recovery_days, var.schedules,
  ]
}

run "a_secret_is_not_a_setting" {
  command = plan

  variables {
    settings = { GITHUB_WEBHOOK_SECRET = "text" }
  }

  expect_failures = [var.settings]
}
