"""Tables of the egress guard: networks, names and ports to which deliveries are refused.

The networks are listed here because Python versions differ in what ipaddress calls private.
"""

# From the IANA special-purpose address registries (RFC 6890) and cloud providers' documentation.
NETWORKS: dict[str, str] = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "a private network",
    "100.64.0.0/10": "shared address space (CGNAT)",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's metadata address",
    "169.254.0.0/16": "link-local, cloud metadata among it",
    "172.16.0.0/12": "a private network",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "a private network",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, broadcast among it",
    "::/96": "unspecified, loopback or IPv4-compatible",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b:1::/48": "local NAT64",
    "100::/64": "discard-only",
    "100:0:0:1::/64": "a dummy prefix",
    "2001::/23": "reserved for protocols, Teredo among it",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",  # nobody relays it any more (RFC 7526), and it can wrap any IPv4 address
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "a private network (unique local)",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}

# All IPv6 addresses that are allocated for the internet; the rest is not in use.
GLOBAL_UNICAST = "2000::/3"

# The IPv4 address is in the last 32 bits: v4-mapped (RFC 4291) and NAT64's well-known prefix
# (RFC 6052), through which an IPv6-only network with DNS64 reaches all of IPv4.
WRAPS_IPV4 = ("::ffff:0:0/96", "64:ff9b::/96")

# Names that stand for such an address on every resolver, together with all names below them.
NAMES: dict[str, tuple[str, ...]] = {
    "localhost": ("127.0.0.1", "::1"),  # RFC 6761
    "metadata.google.internal": ("169.254.169.254", "fd20:ce::254"),
    "metadata.goog": ("169.254.169.254", "fd20:ce::254"),
    "instance-data.ec2.internal": ("169.254.169.254", "fd00:ec2::254"),
}

# The "bad ports" of https://fetch.spec.whatwg.org/#port-blocking: ports of other protocols, whose
# servers could interpret a request as commands.
BAD_PORTS = frozenset(
    (
        0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
        101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179,
        389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601,
        636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566,
        6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    )
)  # fmt: skip

# Services of an internal network that take commands over HTTP, or that read text as commands: in
# an opened network a webhook must not reach them.
SERVICE_PORTS = frozenset(
    (
        111, 445, 873, 1099, 1433, 1434, 1521, 1883, 2181, 2375, 2376, 2377, 2379, 2380,
        2381, 3306, 3389, 4222, 4243, 4369, 4505, 4506, 4646, 4647, 4648, 5432, 5671, 5672,
        5900, 5984, 5985, 5986, 6222, 6379, 6380, 6432, 6443, 7077, 7473, 7474, 7687, 8009,
        8086, 8091, 8123, 8161, 8200, 8201, 8222, 8300, 8301, 8302, 8500, 8501, 8502, 8600,
        8983, 9042, 9092, 9093, 9160, 9200, 9229, 9300, 10248, 10249, 10250, 10255, 10256,
        10257, 10259, 11211, 15672, 26257, 26379, 27017, 27018, 27019, 28015, 28017, 61613,
        61616,
    )
)  # fmt: skip

# Names that are internal by their form: where a proxy resolves names, no address is checked.
# RFC 6761 and 6762, RFC 8375, ICANN's .internal, and what networks use by habit.
INTERNAL_DOMAINS = (
    "localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan",
    "svc", "default", "kube-system", "consul", "invalid", "onion", "arpa",
)  # fmt: skip

# Public names below which every address, private ones too, can be written into the name.
ADDRESS_DOMAINS = ("nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me", "vcap.me")

# The first label of names for a cloud's metadata.
METADATA_LABELS = frozenset(
    ("metadata", "metadata-server", "metadata-service", "instance-data", "instance-metadata")
)
