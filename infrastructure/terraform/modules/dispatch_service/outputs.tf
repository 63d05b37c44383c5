output "url" {
  description = "Where the service is. Webhooks go to /webhooks/github, the dashboard is /admin."
  value       = var.domain == null ? aws_apigatewayv2_api.http.api_endpoint : "https://${var.domain.name}"
}

output "image_repository_url" {
  description = "Where images are pushed to."
  value       = aws_ecr_repository.images.repository_url
}

output "secret_arns" {
  description = "The secrets, to be filled by people."
  value       = local.secret_arns
}

output "table_name" {
  description = "The table."
  value       = aws_dynamodb_table.dispatch.name
}

output "event_bus_name" {
  description = "The bus that carries the facts: add rules of your own to listen."
  value       = aws_cloudwatch_event_bus.facts.name
}

output "dead_letter_queue_urls" {
  description = "Where work waits that was given up, by the stage."
  value       = { for name, queue in aws_sqs_queue.dead_letters : name => queue.url }
}

output "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  value       = aws_dynamodb_table.dispatch.deletion_protection_enabled
}
