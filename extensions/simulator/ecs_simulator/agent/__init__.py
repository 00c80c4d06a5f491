"""The Cloud Assistant Agent of an instance: how it runs, reports and loses commands."""
