package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

// Story is what Prometheus scrapes, once a minute from 1970 on, and the rules it evaluates as often.
type Story struct {
	Rules   string            `json:"rules"`   // a rule file
	Series  map[string]string `json:"series"`  // values as promtool writes them: "0x4 1+2x9 _ stale"
	Minutes int               `json:"minutes"` // how long it goes on
}

// Fired is an alert that fires, as whoever is called sees it.
type Fired struct {
	Minute      int               `json:"minute"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func fire() error {
	var story Story
	if err := json.NewDecoder(os.Stdin).Decode(&story); err != nil {
		return err
	}
	load := []string{"load 1m"}
	for name, values := range story.Series {
		load = append(load, "  "+name+" "+values)
	}
	options := promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true}
	suite, err := promqltest.NewLazyLoader(strings.Join(load, "\n"), options)
	if err != nil {
		return err
	}
	defer suite.Close()
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:  rules.EngineQueryFunc(suite.QueryEngine(), suite.Storage()),
		Appendable: suite.Storage(),
		Context:    context.Background(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
		Logger:     promslog.NewNopLogger(),
	})
	groups, wrong := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, story.Rules)
	if wrong != nil {
		return errors.Join(wrong...)
	}
	for minute := range story.Minutes {
		now := time.Unix(int64(minute)*60, 0).UTC()
		suite.WithSamplesTill(now, func(problem error) { err = problem })
		for _, group := range groups {
			if err == nil {
				group.Eval(suite.Context(), now)
				err = told(group, minute)
			}
		}
		if err != nil {
			return fmt.Errorf("minute %d: %w", minute, err)
		}
	}
	return nil
}

// told prints what fires in a group.
func told(group *rules.Group, minute int) error {
	for _, rule := range group.Rules() {
		if err := rule.LastError(); err != nil {
			return fmt.Errorf("%s: %w", rule.Name(), err)
		}
		alerting, yes := rule.(*rules.AlertingRule)
		if !yes {
			continue
		}
		for _, one := range alerting.ActiveAlerts() {
			if one.State != rules.StateFiring {
				continue
			}
			found := Fired{minute, one.Labels.Map(), one.Annotations.Map()}
			if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
				return err
			}
		}
	}
	return nil
}
