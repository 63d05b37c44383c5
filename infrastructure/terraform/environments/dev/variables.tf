# Given by terraform.tfvars, which is not in the repository, or by TF_VAR_... of the environment.

variable "image_tag" {
  description = "The tag of the image to run, such as v0.1.0."
  type        = string
}

variable "github_app_id" {
  description = "The App's id, from its settings page."
  type        = number
}

variable "github_app_slug" {
  description = "The App's name in URLs."
  type        = string
}

variable "owner_allowlist" {
  description = "Whose events count."
  type        = list(string)
}

variable "settings" {
  description = "Further settings of the service, by the name of their environment variable."
  type        = map(string)
  default     = {}
}

variable "domain" {
  description = "A name of your own: its certificate and, for a DNS record, its Route 53 zone."
  type = object({
    name            = string
    certificate_arn = string
    zone_id         = optional(string)
  })
  default = null
}

variable "alarm_topic_arn" {
  description = "The SNS topic that alarms are sent to."
  type        = string
  default     = null
}
