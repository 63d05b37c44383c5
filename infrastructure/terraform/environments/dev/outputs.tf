output "url" {
  description = "Where the service is. Webhooks go to /webhooks/github, the dashboard is /admin."
  value       = module.dispatch_service.url
}

output "image_repository_url" {
  description = "Where images are pushed to."
  value       = module.dispatch_service.image_repository_url
}

output "secret_arns" {
  description = "The secrets, to be filled by people."
  value       = module.dispatch_service.secret_arns
}

output "dead_letter_queue_urls" {
  description = "Where work waits that was given up, by the stage."
  value       = module.dispatch_service.dead_letter_queue_urls
}
