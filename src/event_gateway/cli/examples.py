"""An example of each command, as its help shows it."""

import typer

from event_gateway.cli.client.command_tree import commands_of

EXAMPLES = {
    "serve": "event-gateway serve -c gateway.yaml --data-dir /var/lib/event-gateway",
    "check": "event-gateway check -c gateway.yaml",
    "schema": "event-gateway schema > gateway.schema.json",
    "apply": "event-gateway apply -c gateway.yaml --dry-run",
    "reload": "event-gateway reload --dry-run",
    "demo": "event-gateway demo --for 20s",
    "replay": "event-gateway replay --webhook crm --since 1h --type 'user.>' --dry-run",
    "listen": "event-gateway listen --events 'user.>' --forward-to localhost:3000/hook",
    "top": "event-gateway top --interval 1",
    "health": "event-gateway health --json | jq -r .status",
    "doctor": "event-gateway doctor -c gateway.yaml",
    "send":
        "event-gateway send --type user.created --data '{\"n\": {{n}}}' --count 1000 "
        "--rate 100/s",
    "trigger": "event-gateway trigger ontology.schema.created",
    "context add":
        "event-gateway context add prod --url https://gateway.example.com "
        "--key-command 'pass show gateway'",
    "context list": "event-gateway context list",
    "context use": "event-gateway context use prod",
    "context remove": "event-gateway context remove prod",
    "events list": "event-gateway events list --type 'order.>' --since 1h",
    "events show": "event-gateway events show 1f0e42 --webhook crm --body",
    "events resend": "event-gateway events resend 1f0e42 --webhook crm",
    "webhooks list": "event-gateway webhooks list --json | jq -r '.[].id'",
    "webhooks show": "event-gateway webhooks show crm --json | jq .stats",
    "webhooks create":
        "event-gateway webhooks create crm --endpoint https://crm.example.com/hook "
        "--events 'user.>'",
    "webhooks update": "event-gateway webhooks update crm --events 'user.>,order.created'",
    "webhooks delete": "event-gateway webhooks delete crm",
    "webhooks enable": "event-gateway webhooks enable crm",
    "webhooks disable": "event-gateway webhooks disable crm",
    "webhooks test": "event-gateway webhooks test crm --event event.json",
    "webhooks verify": "event-gateway webhooks verify crm",
    "webhooks rotate-secret": "event-gateway webhooks rotate-secret crm --overlap 24h",
    "deliveries list": "event-gateway deliveries list crm --status retrying --since 1h",
    "deliveries show": "event-gateway deliveries show crm 1f0e42",
    "deliveries retry": "event-gateway deliveries retry crm 1f0e42",
    "deliveries cancel": "event-gateway deliveries cancel crm 1f0e42",
    "dead-letters list": "event-gateway dead-letters list --webhook crm --since 1d",
    "dead-letters show": "event-gateway dead-letters show 17 --json | jq .attempts",
    "dead-letters replay": "event-gateway dead-letters replay --webhook crm --since 1d",
    "dead-letters purge": "event-gateway dead-letters purge --until 30d --dry-run",
    "replays list": "event-gateway replays list --limit 10",
    "replays show": "event-gateway replays show r-1f0e42",
    "replays pause": "event-gateway replays pause r-1f0e42",
    "replays resume": "event-gateway replays resume r-1f0e42",
    "replays cancel": "event-gateway replays cancel r-1f0e42",
    "replays follow": "event-gateway replays follow r-1f0e42",
    "secrets set": "event-gateway secrets set crm_token < token.txt",
    "secrets rotate": "event-gateway secrets rotate crm_token --overlap 24h < token.txt",
    "secrets list": "event-gateway secrets list",
    "secrets delete": "event-gateway secrets delete crm_token",
    "secrets reseal": "event-gateway secrets reseal",
    "keys create": "event-gateway keys create shop --scope events:publish --expires-in 90d",
    "keys list": "event-gateway keys list",
    "keys show": "event-gateway keys show RoMREfnkTfRD",
    "keys update": "event-gateway keys update RoMREfnkTfRD --scope events:publish",
    "keys rotate": "event-gateway keys rotate RoMREfnkTfRD --overlap 24h",
    "keys revoke": "event-gateway keys revoke RoMREfnkTfRD",
    "tokens create": "event-gateway tokens create --stream audit_stream --expires-in 5m",
    "tokens list": "event-gateway tokens list",
    "tokens revoke": "event-gateway tokens revoke 4fG1bq",
    "catalog list": "event-gateway catalog list --json | jq -r '.[].type'",
    "catalog show": "event-gateway catalog show ontology.schema.created --json | jq .schema",
    "catalog import": "event-gateway catalog import asyncapi.yaml --dry-run",
    "catalog export": "event-gateway catalog export --out asyncapi.json",
    "streams list": "event-gateway streams list",
    "streams show": "event-gateway streams show audit_stream",
    "streams tail": "event-gateway streams tail audit_stream --since 1h --filter data.user=ada",
    "alerts list": "event-gateway alerts list --state firing",
    "alerts history": "event-gateway alerts history --webhook crm",
    "alerts silence":
        "event-gateway alerts silence --webhook crm --for 2h --comment 'the CRM moves'",
    "alerts silences": "event-gateway alerts silences",
    "alerts unsilence": "event-gateway alerts unsilence 4fG1bq",
    "audit-log list": "event-gateway audit-log list --resource webhook/crm --since 7d",
    "audit-log tail": "event-gateway audit-log tail --json",
    "audit-log export": "event-gateway audit-log export --since 30d --output audit.ndjson",
    "audit-log verify": "event-gateway audit-log verify audit.ndjson",
}  # fmt: skip


def add_examples(app: typer.Typer) -> None:
    """Ends the help of each command with its example, before what it ends with already."""
    for words, command in commands_of(app):
        if example := EXAMPLES.get(words):
            command.epilog = f"Example: {example}\n\n{command.epilog or ''}".rstrip()
