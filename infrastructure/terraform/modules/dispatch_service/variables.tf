variable "name" {
  description = "What the names of all resources begin with. Two environments in one account need two names."
  type        = string
  default     = "dispatch"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "The name is 3 to 32 of a-z, 0-9 and `-`, begins with a letter and does not end with `-`."
  }
}

variable "image_tag" {
  description = "The tag of the image in the repository of this module, such as v0.1.0. Tags are immutable."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "The tag names one image for good: not `latest`."
  }
}

variable "github_app_id" {
  description = "The App's id, from its settings page."
  type        = number

  validation {
    condition     = var.github_app_id > 0 && floor(var.github_app_id) == var.github_app_id
    error_message = "The App's id is a positive whole number."
  }
}

variable "github_app_slug" {
  description = "The App's name in URLs. Given here, no cold start asks GitHub for it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]*$", var.github_app_slug))
    error_message = "The slug is made of a-z, 0-9 and `-`."
  }
}

variable "owner_allowlist" {
  description = "Whose events count: accounts, `*` patterns allowed. Everybody (`*`) must be written."
  type        = list(string)

  validation {
    condition     = length(var.owner_allowlist) > 0 && alltrue([for owner in var.owner_allowlist : can(regex("^[A-Za-z0-9*_-]+$", owner))])
    error_message = "At least one account; each is made of letters, digits, `-`, `_` and `*`."
  }
}

variable "retention_days" {
  description = "How long finished work is kept, in days."
  type        = number
  default     = 90

  validation {
    condition     = var.retention_days >= 8 && var.retention_days <= 3650
    error_message = "Finished work is kept for 8 to 3650 days: longer than GitHub's log of deliveries reaches."
  }
}

variable "log_level" {
  description = "What the functions log."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "One of error, warn, info, debug and trace."
  }
}

variable "settings" {
  description = "Further settings of the service, by the name of their environment variable, such as MAX_EVENT_AGE."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "Each name is that of an environment variable."
  }

  validation {
    condition = length(setintersection(keys(var.settings), [
      "ADMIN_TOKEN", "ADMIN_TOKEN_ARN", "EVENT_BUS_NAME", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY", "GITHUB_APP_PRIVATE_KEY_ARN",
      "GITHUB_APP_SLUG", "GITHUB_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET_ARN", "LOG_LEVEL", "OWNER_ALLOWLIST",
      "REQUESTS_QUEUE_URL", "RETENTION_DAYS", "TABLE_NAME", "TARGETS_QUEUE_URL",
    ])) == 0
    error_message = "Secrets belong into Secrets Manager, and what the module sets has a variable of its own or none."
  }
}

variable "secret_arns" {
  description = "Secrets that exist already. For each one that is not given, an empty one is made, to be filled by people."
  type = object({
    webhook_secret  = optional(string)
    app_private_key = optional(string)
    admin_token     = optional(string)
  })
  default = {}
}

variable "secret_recovery_days" {
  description = "How long a deleted secret can be brought back, in days."
  type        = number
  default     = 30

  validation {
    condition     = var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30
    error_message = "7 to 30 days."
  }
}

variable "schedules" {
  description = "When the function `schedule` does which chore: chore to rate(...) or cron(...), in UTC."
  type        = map(string)
  default = {
    overdue = "rate(1 minute)"
    recover = "rate(10 minutes)"
    expire  = "rate(1 hour)"
    sweep   = "rate(1 day)"
  }

  validation {
    condition     = alltrue([for chore, expression in var.schedules : can(regex("^[a-z]+$", chore)) && can(regex("^(rate|cron)\\(.+\\)$", expression))])
    error_message = "Each chore is a word, each expression rate(...) or cron(...)."
  }
}

variable "maximum_concurrency" {
  description = <<-TEXT
    How many instances of a function a queue may use at once, 2 to 1000. GitHub's limits are kept by each instance for itself, so
    that more dispatchers are sooner told to wait.
  TEXT
  type = object({
    planner    = optional(number, 5)
    dispatcher = optional(number, 5)
    facts      = optional(number, 5)
  })
  default = {}

  validation {
    condition     = alltrue([for number in values(var.maximum_concurrency) : number >= 2 && number <= 1000])
    error_message = "2 to 1000, which is what SQS event sources take."
  }
}

variable "reserved_concurrency" {
  description = "Instances that are kept for a function, by its name. None by default: a new account has only ten in all."
  type        = map(number)
  default     = {}
}

variable "maximum_receives" {
  description = "How often a message is tried before it is parked in the dead-letter queue. Work that was put back is a new message."
  type        = number
  default     = 5

  validation {
    condition     = var.maximum_receives >= 5 && var.maximum_receives <= 1000
    error_message = "At least 5: throttled functions give messages back without having looked at them."
  }
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long logs are kept, in days; one of the numbers that CloudWatch knows."
  type        = number
  default     = 30
}

variable "throttle" {
  description = "How many requests a second the HTTP API takes, and how many at once above that."
  type = object({
    rate  = optional(number, 50)
    burst = optional(number, 200)
  })
  default = {}
}

variable "domain" {
  description = "A name of your own: its ACM certificate in the same region and, for a DNS record, its Route 53 zone."
  type = object({
    name            = string
    certificate_arn = string
    zone_id         = optional(string)
  })
  default = null
}

variable "alarm_topic_arn" {
  description = "The SNS topic that alarms are sent to. None: they only show."
  type        = string
  default     = null
}

variable "oldest_message_seconds" {
  description = "How old the oldest message of a queue, or the oldest record of the stream, may get before there is an alarm."
  type        = number
  default     = 1800
}
