"""The plain way, 1 of 3: fetch trades from a websocket and put them into Kafka as JSON.

Start the servers and the simulated exchange first:

    ticktrail up
    ticktrail exchange --symbols 20 --rate 500 --port 8765

Uses: websockets, kafka-python. Takes a few seconds and ends by itself.
"""

import json

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from websockets.sync.client import connect

from ticktrail.config import load

TOPIC = "plain.trades"
COUNT = 2_000

# Where `ticktrail up` has started Kafka; "127.0.0.1:9092" would do as well if it is there.
settings = load().settings
kafka = settings.kafka.bootstrap_servers
exchange = settings.feeds.get("sim", {}).get("url", "ws://127.0.0.1:8765/v2/sip")

admin = KafkaAdminClient(bootstrap_servers=kafka)
if TOPIC not in admin.list_topics():
    admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
admin.close()

producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
sent = 0
with connect(exchange) as websocket:
    websocket.send(json.dumps({"action": "auth", "key": "sim", "secret": "sim"}))
    websocket.send(json.dumps({"action": "subscribe", "trades": ["*"]}))
    while sent < COUNT:
        # One frame holds many messages: trades ("t"), and the exchange's answers ("success", …).
        messages = json.loads(websocket.recv(timeout=30))
        trades = [message for message in messages if message["T"] == "t"][: COUNT - sent]
        for trade in trades:
            producer.send(TOPIC, key=trade["S"].encode(), value=json.dumps(trade).encode())
        sent += len(trades)
producer.flush()
producer.close()
print(f"sent {sent} trades to {TOPIC}")
