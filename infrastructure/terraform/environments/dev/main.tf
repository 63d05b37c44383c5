# The region is that of the environment: AWS_REGION.
provider "aws" {
  default_tags {
    tags = { Service = "dispatch", Environment = "dev" }
  }
}

module "dispatch_service" {
  source = "../../modules/dispatch_service"

  name            = "dispatch-dev"
  image_tag       = var.image_tag
  github_app_id   = var.github_app_id
  github_app_slug = var.github_app_slug
  owner_allowlist = var.owner_allowlist
  settings        = var.settings
  domain          = var.domain
  alarm_topic_arn = var.alarm_topic_arn

  # What is here is made to be thrown away.
  deletion_protection  = false
  log_retention_days   = 14
  secret_recovery_days = 7
}
