-- Deletes the lists and counts of a deleted webhook, before its id is registered again: an attempt
-- that ended after the deletion may have written them once more. ARGV: webhook.
forget_webhook_history(ARGV[1])
