# Calls a plugin as the engine does: SOCKET METHOD BODY. Perl is on every Debian, and a guest has nothing else.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($path, $method, $body) = @ARGV;
my $socket = IO::Socket::UNIX->new($path) or die "connect to $path: $!";
my $length = length $body;
print $socket "POST /$method HTTP/1.1\r\nHost: plugin\r\nConnection: close\r\nContent-Length: $length\r\n\r\n$body";
$socket->flush;
local $/;
my $reply = <$socket>;
$reply =~ s/^.*?\r\n\r\n//s;
print $reply;
