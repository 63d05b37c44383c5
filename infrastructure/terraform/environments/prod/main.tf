# The region is that of the environment: AWS_REGION.
provider "aws" {
  default_tags {
    tags = { Service = "dispatch", Environment = "prod" }
  }
}

module "dispatch_service" {
  source = "../../modules/dispatch_service"

  name            = "dispatch"
  image_tag       = var.image_tag
  github_app_id   = var.github_app_id
  github_app_slug = var.github_app_slug
  owner_allowlist = var.owner_allowlist
  settings        = var.settings
  domain          = var.domain
  alarm_topic_arn = var.alarm_topic_arn

  deletion_protection = true
  log_retention_days  = 90
}
