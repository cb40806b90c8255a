"""The plain way, 3 of 3: ask Cassandra.

Run 02_kafka_to_cassandra.py first. Uses: cassandra-driver.
"""

from itertools import groupby

from cassandra.cluster import Cluster

from ticktrail.config import load

settings = load().settings
session = Cluster([settings.store.hosts], port=settings.store.port).connect("plain")

# CQL answers what the table's key is made for: one symbol, in the order of time.
rows = session.execute("SELECT ts, id, price, size FROM trades WHERE symbol = 'SPY'").all()
print(f"SPY has {len(rows)} trades")

# Anything else is up to you: minute bars, for instance.
print("minute            open     high      low    close   volume")
for minute, group in groupby(rows, key=lambda row: row.ts.replace(second=0, microsecond=0)):
    trades = list(group)
    prices = [trade.price for trade in trades]
    print(
        f"{minute:%Y-%m-%d %H:%M} {prices[0]:8.2f} {max(prices):8.2f} {min(prices):8.2f} {prices[-1]:8.2f} "
        f"{sum(trade.size for trade in trades):8}"
    )
session.cluster.shutdown()
