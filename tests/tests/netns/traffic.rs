//! Traffic of many flows and protocols between two containers.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use overlay_tests::Container;

/// UDP flows for each IP version, and datagrams of each, answered one by one.
const UDP_FLOWS: usize = 150;
const DATAGRAMS: usize = 8;
/// TCP connections for each IP version, and requests on each.
const TCP_FLOWS: usize = 100;
const REQUESTS: usize = 6;
/// Echo requests for each IP version.
const PINGS: &str = "600";
/// All flows of the first container, without the pings.
pub(crate) const FLOWS: usize = 2 * (UDP_FLOWS + TCP_FLOWS);

/// Sends all of it, and panics when any of it goes unanswered.
pub(crate) fn mixed(a: &Container, b: &Container) {
    for ip in &b.ips {
        udp(a, b, *ip);
        tcp(a, b, *ip);
        let target = ip.to_string();
        a.netns.run(&["ping", "-n", "-q", "-c", PINGS, "-i", "0.001", &target]).expect("all answered");
    }
}

/// The unspecified address of the same version.
fn any(ip: IpAddr) -> SocketAddr {
    let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    any.parse().expect("an address")
}

fn udp(a: &Container, b: &Container, ip: IpAddr) {
    let server = b.netns.enter(|| UdpSocket::bind((ip, 7100))).expect("inside").expect("bound");
    server.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    let echo = thread::spawn(move || {
        let mut buffer = [0; 2048];
        for _ in 0..UDP_FLOWS * DATAGRAMS {
            let (length, from) = server.recv_from(&mut buffer).expect("a datagram");
            server.send_to(&buffer[..length], from).expect("answered");
        }
    });
    let open = || (0..UDP_FLOWS).map(|_| UdpSocket::bind(any(ip)).expect("bound")).collect::<Vec<_>>();
    for (number, socket) in a.netns.enter(open).expect("inside").into_iter().enumerate() {
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        socket.connect((ip, 7100)).expect("connected");
        // All lengths up to about a full packet, odd ones too.
        let data = vec![7; 1 + number * 9];
        for _ in 0..DATAGRAMS {
            socket.send(&data).expect("sent");
            assert_eq!(socket.recv(&mut [0; 2048]).expect("answered"), data.len());
        }
    }
    echo.join().expect("all came");
}

fn tcp(a: &Container, b: &Container, ip: IpAddr) {
    let listener = b.netns.enter(|| TcpListener::bind((ip, 7200))).expect("inside").expect("bound");
    let server = thread::spawn(move || {
        for _ in 0..TCP_FLOWS {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 512];
            while stream.read_exact(&mut request).is_ok() {
                stream.write_all(&[8; 2000]).expect("answered");
            }
        }
    });
    let talk = || {
        for _ in 0..TCP_FLOWS {
            let mut stream = TcpStream::connect((ip, 7200)).expect("connected");
            stream.set_nodelay(true).expect("set");
            for _ in 0..REQUESTS {
                stream.write_all(&[9; 512]).expect("sent");
                stream.read_exact(&mut [0; 2000]).expect("answered");
            }
        }
    };
    a.netns.enter(talk).expect("every connection");
    server.join().expect("all served");
}
