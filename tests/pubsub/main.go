// A Pub/Sub server in memory for tests: Google's own stand-in for the service behind the tests
// of its Go client, as a process, with the permissions of IAM beside it.
//
//	pubsub -port 8085 -grant pubsub.subscriptions.consume -fail CreateTopic=PermissionDenied
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

var statuses = map[string]codes.Code{
	"InvalidArgument":  codes.InvalidArgument,
	"NotFound":         codes.NotFound,
	"PermissionDenied": codes.PermissionDenied,
	"Unauthenticated":  codes.Unauthenticated,
	"Unavailable":      codes.Unavailable,
}

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

// failures are the calls that fail, as METHOD=STATUS.
type failures []pstest.ServerReactorOption

func (f *failures) String() string { return "" }

func (f *failures) Set(text string) error {
	method, status, _ := strings.Cut(text, "=")
	code, known := statuses[status]
	if !known {
		return errors.New("an unknown status")
	}
	*f = append(*f, pstest.WithErrorInjection(method, code, method+" fails, as was asked for"))
	return nil
}

func main() {
	var failing failures
	port := flag.Int("port", 0, "port of loopback")
	granted := flag.String("grant", "", "permissions that everybody has, with commas")
	flag.Var(&failing, "fail", "a method that fails, as METHOD=STATUS")
	flag.Parse()
	iam := &permissions{granted: strings.Split(*granted, ",")}
	server := pstest.NewServerWithCallback(*port, func(registrar *grpc.Server) {
		iampb.RegisterIAMPolicyServer(registrar, iam)
	}, failing...)
	fmt.Println("listening on", server.Addr)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
	if err := server.Close(); err != nil {
		log.Print(err)
	}
}
