# What is made to be tried can be thrown away.

mock_provider "aws" {
  source = "../../modules/dispatch_service/tests/mocks"
}

variables {
  image_tag       = "v1.2.3"
  github_app_id   = 7
  github_app_slug = "dispatch"
  owner_allowlist = ["acme"]
}

run "dev_can_be_thrown_away" {
  assert {
    condition     = !module.dispatch_service.deletion_protection
    error_message = "Deletion protection is off."
  }

  assert {
    condition     = output.url == "https://api.example" && toset(keys(output.secret_arns)) == toset(["webhook_secret", "app_private_key", "admin_token"])
    error_message = "The address and the secrets to fill are told."
  }
}
