"""Example AsyncAPI documents of both major versions."""

from typing import Any

from event_gateway.config.yaml_source import read_plain

CLOUDEVENTS = (
    "https://raw.githubusercontent.com/cloudevents/spec/v1.0.2/cloudevents/formats/cloudevents.json"
)
TWO = """
asyncapi: 2.6.0
info: {title: Shop, version: "1"}
channels:
  shop/orders:
    publish:
      message:
        oneOf:
          - $ref: "#/components/messages/OrderPlaced"
          - $ref: "#/components/messages/OrderPaid"
    subscribe:
      message: {$ref: "#/components/messages/OrderPlaced"}
  stock.level.changed:
    subscribe:
      message:
        summary: A level has changed.
        payload:
          type: object
          properties:
            level: {type: integer, minimum: 0, exclusiveMinimum: true}
            pair: {type: array, items: [{type: string}, {type: integer}], additionalItems: false}
          dependencies:
            level: [pair]
            pair: {minProperties: 2}
  elsewhere:
    subscribe:
      message: {$ref: "./other.yaml#/messages/x"}
components:
  messages:
    OrderPlaced:
      description: An order was placed.
      payload:
        allOf:
          - $ref: "#/components/schemas/CloudEvent"
          - type: object
            properties:
              type: {type: string, enum: [shop.order.placed]}
              data: {$ref: "#/components/schemas/Order"}
      examples:
        - payload: {type: shop.order.placed, data: {id: 7, lines: [{sku: a}]}}
        - payload: {type: shop.order.other, data: {}}
    OrderPaid:
      traits:
        - headers: {properties: {ce_source: {type: string}}}
      headers:
        type: object
        properties:
          ce_type: {type: string, const: shop.order.paid}
      payload: {$ref: "#/components/schemas/Order"}
    Avro:
      name: shop.avro.made
      schemaFormat: application/vnd.apache.avro;version=1.9.0
      payload: {type: record}
    Nameless:
      payload: {type: string}
    Remote:
      name: shop.remote.made
      payload: {$ref: "https://example.com/order.json"}
    Wrong:
      name: shop.wrong.made
      payload: {type: strange}
    Reserved:
      name: webhook.made
      payload: {}
  schemas:
    CloudEvent:
      type: object
      required: [specversion, id, source, type]
      properties:
        specversion: {const: "1.0"}
        type: {type: string}
        data: {}
    Order:
      $id: https://example.com/order
      type: object
      required: [id]
      properties:
        id: {type: integer}
        lines: {type: array, items: {$ref: "#/components/schemas/Line"}}
        parent: {$ref: "#/components/schemas/Order"}
    Line:
      type: object
      properties: {sku: {type: string}}
      additionalProperties: false
"""
THREE = f"""
asyncapi: 3.0.0
info: {{title: Lights, version: "1"}}
channels:
  switched:
    address: lights.office.switched
    messages:
      switched: {{$ref: "#/components/messages/switched"}}
  many:
    address: lights/many
    messages:
      one:
        contentType: application/cloudevents+json
        payload:
          oneOf:
            - properties: {{type: {{const: lights.on}}, data: {{type: boolean}}}}
            - properties: {{type: {{enum: [lights.off, lights.out]}}, data: {{type: "null"}}}}
operations:
  onSwitched:
    action: receive
    channel: {{$ref: "#/channels/switched"}}
components:
  messages:
    switched:
      title: Switched
      payload:
        type: object
        allOf: [{{$ref: "{CLOUDEVENTS}"}}]
        properties:
          data:
            type: object
            properties: {{position: {{enum: [ON, OFF]}}}}
    modern:
      messageId: lights.modern.made
      payload:
        schemaFormat: application/schema+json;version=draft-2020-12
        schema:
          type: array
          prefixItems: [{{$ref: "#/components/messages/modern/payload/schema/$defs/n"}}]
          $defs: {{n: {{type: integer}}}}
    dateless:
      name: lights.dated.made
      payload: {{const: 2026-05-04}}
"""


def documents() -> dict[str, Any]:
    """Both documents, decoded, by major version."""
    return {"2": read_plain(TWO, 128), "3": read_plain(THREE, 128)}
