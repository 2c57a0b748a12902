// A Pub/Sub server in memory for tests: Google's own stand-in for the service behind the tests
// of its Go client, as a process, with permissions, failures and cut streams for the asking.
//
//	pubsub -port 8085 -grant pubsub.subscriptions.consume -fail CreateTopic=PermissionDenied -cut 1s
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// permissions answers TestIamPermissions for every resource alike; pstest has no IAM.
type permissions struct {
	iampb.UnimplementedIAMPolicyServer
	granted []string
}

func (p *permissions) TestIamPermissions(
	_ context.Context, asked *iampb.TestIamPermissionsRequest,
) (*iampb.TestIamPermissionsResponse, error) {
	var held []string
	for _, permission := range asked.Permissions {
		if slices.Contains(p.granted, permission) {
			held = append(held, permission)
		}
	}
	return &iampb.TestIamPermissionsResponse{Permissions: held}, nil
}

// subscriber streams in batches; the streams of pstest bring a hundred messages a second.
type subscriber struct {
	*pstest.GServer
	cut   time.Duration // after which a stream ends; 0 is never
	lease time.Duration // of every message; 0 is what the stream asks for
	slow  time.Duration // to notice that a stream was broken off
}

const (
	batch = 100                  // messages of one answer
	pause = 5 * time.Millisecond // between two looks for messages
)

func (s *subscriber) StreamingPull(stream pubsubpb.Subscriber_StreamingPullServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	gone := make(chan error, 1)
	go func() {
		for {
			if _, err := stream.Recv(); err != nil {
				gone <- err
				return
			}
		}
	}()
	began := time.Now()
	for {
		if s.cut > 0 && time.Since(began) > s.cut {
			return status.Error(codes.Unavailable, "the stream is cut, as was asked for")
		}
		if err := s.send(stream, first); err != nil {
			return err
		}
		select {
		case err := <-gone:
			if err != io.EOF {
				s.goOn(stream, first)
			}
			return nil
		case <-time.After(pause):
		}
	}
}

// goOn sends to a reader that broke the stream off, as a server does that has not noticed.
func (s *subscriber) goOn(
	stream pubsubpb.Subscriber_StreamingPullServer, first *pubsubpb.StreamingPullRequest,
) {
	for until := time.Now().Add(s.slow); time.Now().Before(until); time.Sleep(pause) {
		_ = s.send(stream, first)
	}
}

// send takes a batch, if there is one, leases it for as long as was asked for, and sends it.
func (s *subscriber) send(
	stream pubsubpb.Subscriber_StreamingPullServer, first *pubsubpb.StreamingPullRequest,
) error {
	ctx := context.WithoutCancel(stream.Context()) // one that is gone is still sent to, see goOn
	found, err := s.Pull(ctx, &pubsubpb.PullRequest{
		Subscription: first.Subscription, MaxMessages: batch, ReturnImmediately: true,
	})
	if err != nil || len(found.ReceivedMessages) == 0 {
		return err
	}
	var ids []string
	for _, message := range found.ReceivedMessages {
		ids = append(ids, message.AckId)
	}
	seconds := first.StreamAckDeadlineSeconds
	if s.lease > 0 {
		seconds = int32(s.lease.Seconds())
	}
	lease := &pubsubpb.ModifyAckDeadlineRequest{
		Subscription: first.Subscription, AckIds: ids, AckDeadlineSeconds: seconds,
	}
	if _, err := s.ModifyAckDeadline(ctx, lease); err != nil {
		return err
	}
	answer := &pubsubpb.StreamingPullResponse{ReceivedMessages: found.ReceivedMessages}
	return stream.Send(answer)
}

var statuses = map[string]codes.Code{
	"InvalidArgument":  codes.InvalidArgument,
	"NoProject":        codes.NotFound,
	"NotFound":         codes.NotFound,
	"PermissionDenied": codes.PermissionDenied,
	"Unauthenticated":  codes.Unauthenticated,
	"Unavailable":      codes.Unavailable,
}

// texts are what Google says, where it matters.
var texts = map[string]string{
	"NoProject": "Requested project not found or user does not have access to it (project=x).",
}

// failures are the calls that fail, by method, with the names of their statuses.
type failures map[string]string

func (f failures) String() string { return "" }

func (f failures) Set(text string) error {
	method, name, _ := strings.Cut(text, "=")
	if _, known := statuses[name]; !known {
		return errors.New("an unknown status")
	}
	f[method] = name
	return nil
}

func (f failures) of(method string) error {
	name, fails := f[path.Base(method)]
	if !fails {
		return nil
	}
	return status.Error(statuses[name], cmp.Or(texts[name], "this fails, as was asked for"))
}

func (f failures) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (any, error) {
	if err := f.of(info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (f failures) stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
) error {
	if err := f.of(info.FullMethod); err != nil {
		return err
	}
	return next(server, stream)
}

func main() {
	failing := failures{}
	port := flag.Int("port", 0, "port of loopback")
	granted := flag.String("grant", "", "permissions that everybody has, with commas")
	cut := flag.Duration("cut", 0, "how long a stream lives; 0 is as long as its reader")
	lease := flag.Duration("lease", 0, "how long messages are lent; 0 is as long as is asked for")
	slow := flag.Duration("slow", 0, "how long a stream goes on that its reader broke off")
	flag.Var(failing, "fail", "a method that fails, as METHOD=STATUS")
	flag.Parse()

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	inner := &pstest.NewServer().GServer
	server := grpc.NewServer(
		grpc.UnaryInterceptor(failing.unary), grpc.StreamInterceptor(failing.stream),
	)
	pubsubpb.RegisterPublisherServer(server, inner)
	pubsubpb.RegisterSubscriberServer(server, &subscriber{inner, *cut, *lease, *slow})
	iampb.RegisterIAMPolicyServer(server, &permissions{granted: strings.Split(*granted, ",")})
	fmt.Println("listening on", listener.Addr())
	log.Fatal(server.Serve(listener))
}
