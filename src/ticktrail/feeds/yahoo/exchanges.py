"""Yahoo's codes of exchanges: where a symbol is listed, and in which zone its trading date is taken.

Source: codes as the stream and Yahoo's quote pages show them, read in 2026; MICs of ISO 10383. Indices and
currencies have no venue. A code that is not here is counted, and its symbols keep UTC dates.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EXCHANGES", "UNKNOWN", "Exchange"]


class Exchange(NamedTuple):
    """A venue's ISO 10383 MIC, empty for none, and its IANA time zone."""

    mic: str
    zone: str


UNKNOWN = Exchange("", "UTC")

_NEW_YORK = "America/New_York"
_CHICAGO = "America/Chicago"

EXCHANGES: dict[str, Exchange] = {
    # United States: stocks and funds
    "NMS": Exchange("XNAS", _NEW_YORK),  # Nasdaq Global Select
    "NGM": Exchange("XNAS", _NEW_YORK),  # Nasdaq Global Market
    "NCM": Exchange("XNAS", _NEW_YORK),  # Nasdaq Capital Market
    "NAS": Exchange("XNAS", _NEW_YORK),
    "NYQ": Exchange("XNYS", _NEW_YORK),
    "NYS": Exchange("XNYS", _NEW_YORK),
    "PCX": Exchange("ARCX", _NEW_YORK),
    "ASE": Exchange("XASE", _NEW_YORK),
    "BTS": Exchange("BATS", _NEW_YORK),
    "PNK": Exchange("OTCM", _NEW_YORK),  # OTC Markets, with its tiers
    "OQB": Exchange("OTCM", _NEW_YORK),
    "OQX": Exchange("OTCM", _NEW_YORK),
    "OEM": Exchange("OTCM", _NEW_YORK),
    # United States: indices, options, futures
    "SNP": Exchange("", _NEW_YORK),
    "DJI": Exchange("", _NEW_YORK),
    "NIM": Exchange("", _NEW_YORK),
    "NYB": Exchange("IFUS", _NEW_YORK),
    "OPR": Exchange("OPRA", _NEW_YORK),
    "NYM": Exchange("XNYM", _NEW_YORK),
    "CMX": Exchange("XCEC", _NEW_YORK),
    "CME": Exchange("XCME", _CHICAGO),
    "CBT": Exchange("XCBT", _CHICAGO),
    "CXI": Exchange("", _CHICAGO),  # Cboe indices
    # Round the clock
    "CCC": Exchange("", "UTC"),
    "CCY": Exchange("", "UTC"),
    # The Americas
    "TOR": Exchange("XTSE", "America/Toronto"),
    "VAN": Exchange("XTSX", "America/Toronto"),
    "CNQ": Exchange("XCNQ", "America/Toronto"),
    "MEX": Exchange("XMEX", "America/Mexico_City"),
    "SAO": Exchange("BVMF", "America/Sao_Paulo"),
    "BUE": Exchange("XBUE", "America/Argentina/Buenos_Aires"),
    # Europe
    "LSE": Exchange("XLON", "Europe/London"),
    "IOB": Exchange("XLON", "Europe/London"),
    "FGI": Exchange("", "Europe/London"),
    "GER": Exchange("XETR", "Europe/Berlin"),
    "FRA": Exchange("XFRA", "Europe/Berlin"),
    "STU": Exchange("XSTU", "Europe/Berlin"),
    "MUN": Exchange("XMUN", "Europe/Berlin"),
    "BER": Exchange("XBER", "Europe/Berlin"),
    "DUS": Exchange("XDUS", "Europe/Berlin"),
    "HAM": Exchange("XHAM", "Europe/Berlin"),
    "PAR": Exchange("XPAR", "Europe/Paris"),
    "AMS": Exchange("XAMS", "Europe/Amsterdam"),
    "BRU": Exchange("XBRU", "Europe/Brussels"),
    "LIS": Exchange("XLIS", "Europe/Lisbon"),
    "MIL": Exchange("XMIL", "Europe/Rome"),
    "MCE": Exchange("XMAD", "Europe/Madrid"),
    "EBS": Exchange("XSWX", "Europe/Zurich"),
    "VIE": Exchange("XWBO", "Europe/Vienna"),
    "ISE": Exchange("XDUB", "Europe/Dublin"),
    "STO": Exchange("XSTO", "Europe/Stockholm"),
    "CPH": Exchange("XCSE", "Europe/Copenhagen"),
    "HEL": Exchange("XHEL", "Europe/Helsinki"),
    "OSL": Exchange("XOSL", "Europe/Oslo"),
    "IST": Exchange("XIST", "Europe/Istanbul"),
    # Africa and the Middle East
    "JNB": Exchange("XJSE", "Africa/Johannesburg"),
    "TLV": Exchange("XTAE", "Asia/Jerusalem"),
    "SAU": Exchange("XSAU", "Asia/Riyadh"),
    # Asia and the Pacific
    "JPX": Exchange("XJPX", "Asia/Tokyo"),
    "HKG": Exchange("XHKG", "Asia/Hong_Kong"),
    "SHH": Exchange("XSHG", "Asia/Shanghai"),
    "SHZ": Exchange("XSHE", "Asia/Shanghai"),
    "KSC": Exchange("XKRX", "Asia/Seoul"),
    "KOE": Exchange("XKOS", "Asia/Seoul"),
    "TAI": Exchange("XTAI", "Asia/Taipei"),
    "TWO": Exchange("ROCO", "Asia/Taipei"),
    "NSI": Exchange("XNSE", "Asia/Kolkata"),
    "BSE": Exchange("XBOM", "Asia/Kolkata"),
    "SES": Exchange("XSES", "Asia/Singapore"),
    "JKT": Exchange("XIDX", "Asia/Jakarta"),
    "SET": Exchange("XBKK", "Asia/Bangkok"),
    "KLS": Exchange("XKLS", "Asia/Kuala_Lumpur"),
    "ASX": Exchange("XASX", "Australia/Sydney"),
    "NZE": Exchange("XNZE", "Pacific/Auckland"),
}
