# What every test of the module begins with.

image_tag       = "v1.2.3"
github_app_id   = 7
github_app_slug = "dispatch"
owner_allowlist = ["acme"]
