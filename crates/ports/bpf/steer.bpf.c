// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Hands what comes for a port that nobody on this machine holds to sockets of ours.
//
// Two programs with the same rules, of which one is at work: `at_ingress` at the tcx hook of every
// interface, `at_lookup` at the sk_lookup hook of the network namespace. They only ever say "this
// socket" or nothing: no packet is changed, dropped or answered here, and whatever is not for us
// goes on as if these programs did not exist.
//
// `./build` beside this file makes the object from it.

#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// What the loader needs to know of the licence: `bpf_fib_lookup` is only for programs that may be
// combined with the kernel, as this one, being under the MIT licence, may.
char _license[] SEC("license") = "Dual MIT/GPL";
// Which source the object was made from; `tests/object.rs` compares.
const char source[] SEC("jaryq_source") = SOURCE_DIGEST;

#define AF_INET 2
#define AF_INET6 10
#define PASS_ON -1 // TCX_NEXT: ask whoever else is attached, then go on

// A bit for each port.
typedef __u8 port_set[65536 / 8];

// One page of rules that user space writes through shared memory, without any system call and so
// without any privilege. `src/rules.rs` has the same layout.
struct rules {
    __u64 deadline;     // by the monotonic clock, in ns; after it, nothing is ours: we hang
    __u64 at_lookup;    // which program is at work; not 0 where addresses are translated, since
                        // at ingress a packet does not show yet whose it will be
    port_set tcp;       // ports to answer on; UDP's behind TCP's, here and below
    port_set udp;
    port_set never;     // but not on these, for whatever reason
    port_set held_tcp;  // and, where packets cannot be judged one by one, not on these,
    port_set held_udp;  // which other programs have
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct rules);
} rules SEC(".maps");

// Ours: TCP and UDP over IPv4, TCP and UDP over IPv6.
struct {
    __uint(type, BPF_MAP_TYPE_SOCKMAP);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

// Whether a port is in a set; or, for UDP, in the one that stands behind it. The other set is reached
// by a step of its own, whose width is a constant: whoever may load programs and may not watch the
// machine (CAP_BPF without CAP_PERFMON) is allowed no arithmetic whose bounds depend on the path.
static __always_inline int has(const __u8 *set, int udp, __u16 port)
{
    const __u8 *byte = set + (port >> 3);
    asm volatile("" : "+r"(byte));
    if (udp) {
        byte += sizeof(port_set);
        asm volatile("" : "+r"(byte));
    }
    return *byte >> (port & 7) & 1;
}

// The rules, if whatever comes for `port` may be ours.
static __always_inline struct rules *wanted(int at_lookup, int tcp, __u16 port)
{
    __u32 first = 0;
    struct rules *all = bpf_map_lookup_elem(&rules, &first);
    if (!all || !all->at_lookup != !at_lookup || !has(all->tcp, !tcp, port) || has(all->never, 0, port))
        return 0;
    return bpf_ktime_get_ns() < all->deadline ? all : 0;
}

static __always_inline __u32 slot(int tcp, int v6)
{
    return (v6 ? 2 : 0) + (tcp ? 0 : 1);
}

// ---- tcx ----------------------------------------------------------------------------------------

// Offsets count from the network header, so that links with and without a header of their own are
// all the same.
static __always_inline int load(struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
    return bpf_skb_load_bytes_relative(skb, offset, to, size, BPF_HDR_START_NET);
}

// Whether the machine keeps the packet for itself, if it keeps or forwards anything at all. Nothing
// else may be given a socket: the kernel would drop it instead of forwarding it.
static __always_inline int stays_here(struct __sk_buff *skb, struct bpf_fib_lookup *way)
{
    way->ifindex = skb->ifindex;
    int fate = bpf_fib_lookup(skb, way, sizeof(*way), 0);
    return fate == BPF_FIB_LKUP_RET_NOT_FWDED || fate == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

SEC("classifier")
int at_ingress(struct __sk_buff *skb)
{
    // Broadcasts, multicasts, what a bridge carries for others, and what a VLAN's own link will see
    // again. (That a packet has a socket says nothing: from a container, it is the sender's.)
    if (skb->pkt_type != PACKET_HOST || skb->vlan_present)
        return PASS_ON;

    struct bpf_sock_tuple tuple = {};
    struct bpf_fib_lookup way = {};
    union {
        struct iphdr v4;
        struct ipv6hdr v6;
    } ip = {};
    __u32 ip_size, tuple_size, transport;
    __u8 protocol;
    int v6 = skb->protocol == bpf_htons(0x86dd);

    if (v6) {
        if (load(skb, 0, &ip.v6, sizeof(ip.v6)))
            return PASS_ON;
        // Extension headers: nobody's first packet has them.
        protocol = ip.v6.nexthdr;
        transport = ip_size = sizeof(ip.v6);
        // ::1
        if (!ip.v6.daddr.in6_u.u6_addr32[0] && !ip.v6.daddr.in6_u.u6_addr32[1] &&
            !ip.v6.daddr.in6_u.u6_addr32[2] && ip.v6.daddr.in6_u.u6_addr32[3] == bpf_htonl(1))
            return PASS_ON;
        __builtin_memcpy(tuple.ipv6.saddr, &ip.v6.saddr, 16);
        __builtin_memcpy(tuple.ipv6.daddr, &ip.v6.daddr, 16);
        __builtin_memcpy(way.ipv6_src, &ip.v6.saddr, 16);
        __builtin_memcpy(way.ipv6_dst, &ip.v6.daddr, 16);
        way.family = AF_INET6;
        tuple_size = sizeof(tuple.ipv6);
    } else if (skb->protocol == bpf_htons(0x0800)) {
        if (load(skb, 0, &ip.v4, sizeof(ip.v4)))
            return PASS_ON;
        protocol = ip.v4.protocol;
        ip_size = sizeof(ip.v4);
        transport = ip.v4.ihl * 4;
        // Fragments, whole or in part: the kernel puts them together later, without the socket.
        if (ip.v4.frag_off & bpf_htons(0x3fff) || (ip.v4.daddr & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000))
            return PASS_ON;
        tuple.ipv4.saddr = ip.v4.saddr;
        tuple.ipv4.daddr = ip.v4.daddr;
        way.ipv4_src = ip.v4.saddr;
        way.ipv4_dst = ip.v4.daddr;
        way.family = AF_INET;
        tuple_size = sizeof(tuple.ipv4);
    } else {
        return PASS_ON;
    }

    int tcp = protocol == IPPROTO_TCP;
    struct tcphdr segment = {};
    struct udphdr datagram = {};
    __u16 from, to;
    if (tcp) {
        if (load(skb, transport, &segment, sizeof(segment)))
            return PASS_ON;
        // What opens a connection; or what may complete one that the kernel remembers only by a
        // cookie. All else is for those who have it, or nobody.
        if (segment.rst || segment.fin || segment.syn == segment.ack)
            return PASS_ON;
        from = segment.source;
        to = segment.dest;
    } else if (protocol == IPPROTO_UDP) {
        if (load(skb, transport, &datagram, sizeof(datagram)))
            return PASS_ON;
        from = datagram.source;
        to = datagram.dest;
    } else {
        return PASS_ON;
    }
    if (!wanted(0, tcp, bpf_ntohs(to)))
        return PASS_ON;
    if (v6) {
        tuple.ipv6.sport = from;
        tuple.ipv6.dport = to;
    } else {
        tuple.ipv4.sport = from;
        tuple.ipv4.dport = to;
    }

    __u32 which = slot(tcp, v6);
    struct bpf_sock *ours = bpf_map_lookup_elem(&sockets, &which);
    if (!ours)
        return PASS_ON;
    // Costs nothing while no cookies are given out.
    if (tcp && segment.ack &&
        bpf_tcp_check_syncookie(ours, &ip, ip_size, &segment, sizeof(segment)))
        goto out;
    // Does anybody have it: a connection, a listener, a bound or connected UDP socket?
    struct bpf_sock *holder = tcp
        ? bpf_skc_lookup_tcp(skb, &tuple, tuple_size, BPF_F_CURRENT_NETNS, 0)
        : bpf_sk_lookup_udp(skb, &tuple, tuple_size, BPF_F_CURRENT_NETNS, 0);
    if (holder) {
        bpf_sk_release(holder);
        goto out;
    }
    way.l4_protocol = protocol;
    way.sport = from;
    way.dport = to;
    if (stays_here(skb, &way))
        bpf_sk_assign(skb, ours, 0);
out:
    bpf_sk_release(ours);
    return PASS_ON;
}

// ---- sk_lookup ----------------------------------------------------------------------------------

SEC("sk_lookup")
int at_lookup(struct bpf_sk_lookup *lookup)
{
    int tcp = lookup->protocol == IPPROTO_TCP;
    int v6 = lookup->family == AF_INET6;
    __u16 port = lookup->local_port;

    // Loopback is the machine's own affair.
    if (v6 ? !lookup->local_ip6[0] && !lookup->local_ip6[1] && !lookup->local_ip6[2] &&
                 lookup->local_ip6[3] == bpf_htonl(1)
           : (lookup->local_ip4 & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000))
        return SK_PASS;
    struct rules *all = wanted(1, tcp, port);
    if (!all || has(all->held_tcp, !tcp, port))
        return SK_PASS;
    __u32 which = slot(tcp, v6);
    struct bpf_sock *ours = bpf_map_lookup_elem(&sockets, &which);
    if (!ours)
        return SK_PASS;
    bpf_sk_assign(lookup, ours, 0);
    bpf_sk_release(ours);
    return SK_PASS;
}
