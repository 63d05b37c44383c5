# Secrets are made empty. Their values are put by people, and never by Terraform, whose state would hold them.

locals {
  secrets = {
    webhook_secret  = "The webhook secret of the GitHub App; two, separated by a comma, while one replaces the other"
    app_private_key = "The private key of the GitHub App, as PEM"
    admin_token     = "The token that opens the dashboard"
  }

  secret_arns = {
    for name in keys(local.secrets) : name => coalesce(var.secret_arns[name], try(aws_secretsmanager_secret.made[name].arn, null))
  }
}

resource "aws_secretsmanager_secret" "made" {
  for_each = { for name, description in local.secrets : name => description if var.secret_arns[name] == null }

  name                    = "${var.name}/${each.key}"
  description             = each.value
  recovery_window_in_days = var.secret_recovery_days
}
