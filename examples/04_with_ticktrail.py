"""The same with ticktrail: fetch → Kafka → Cassandra → bars → SQL.

Start the servers first: `ticktrail up`. The simulated exchange is started and stopped by `ticktrail run`.
"""

import json
import subprocess
import sys

import ticktrail

# Ten seconds of the simulated market, through Kafka into Cassandra, with bars.
run = [sys.executable, "-m", "ticktrail", "run", "--feed", "sim", "--symbols", "20", "--rate", "500"]
done = subprocess.run([*run, "--seconds", "10", "--headless", "--json"], stdout=subprocess.PIPE, check=True)
summary = json.loads(done.stdout)
print(f"received {summary['received']} records, stored {summary['stored']}, {summary['bars']} bars")

# Any question in SQL; the answer as a pandas frame (or .arrow(), or .pl() for polars).
answer = ticktrail.sql(
    "SELECT symbol, count(*) AS trades, sum(size) AS shares, round(avg(price), 2) AS mean_price "
    "FROM trades WHERE feed = 'sim' AND ts > now() - INTERVAL 1 HOUR "
    "GROUP BY symbol ORDER BY trades DESC LIMIT 5"
)
print(answer.df().to_string(index=False))

# Or without SQL.
bars = ticktrail.read("bars", symbols=["SPY"], interval="1s")
print(f"SPY has {len(bars)} bars of a second")
