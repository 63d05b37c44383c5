terraform {
  required_version = ">= 1.11.0"

  # Where the state is comes from backend.hcl, which is not in the repository: see backend.hcl.example.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.45"
    }
  }
}
