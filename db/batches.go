package db

import (
	"context"
	"sync"
	"time"

	"latchkey/telemetry"
)

const (
	// maxBatch is how many questions go together at the most.
	maxBatch = 32
	// batchPatience is how long those who gathered wait for the batch before them. One that waits for a lock, or for an
	// answer that was lost, must not hold them as well.
	batchPatience = 2 * time.Millisecond
)

// batches put questions to the database together that come at the same time, as a group commit does with writes
// (PostgreSQL's manual, "commit_delay", has the idea): while one batch is under way, those who come gather, and go
// together when it is over. Who comes alone waits for nobody. Nobody joins a batch that has begun, so no answer is older
// than its question: what was acknowledged before a question was asked, the answer knows.
type batches[Question, Answer any] struct {
	// ask returns an answer to each of one to maxBatch questions, in their order.
	ask func(ctx context.Context, questions []Question) ([]Answer, error)

	mu        sync.Mutex
	underWay  int
	gathering *batch[Question, Answer] // or nil
}

// batch is several questions, which begin to be answered once and together.
type batch[Question, Answer any] struct {
	ctx       context.Context
	questions []Question
	impatient *time.Timer

	answered chan struct{}
	answers  []Answer // valid once answered is closed, and err and panicked as well
	err      error
	panicked any
}

// answer returns the answer to a question. Errors: those of ask, of which some may be due to the questions of others.
func (b *batches[Question, Answer]) answer(ctx context.Context, question Question) (answer Answer, err error) {
	b.mu.Lock()
	if b.underWay == 0 {
		b.underWay++
		b.mu.Unlock()
		defer b.over()
		answers, err := b.ask(ctx, []Question{question})
		if err != nil {
			return answer, err
		}
		return answers[0], nil
	}
	joined, place := b.join(ctx, question)
	b.mu.Unlock()

	_, span := telemetry.Span(ctx, "batch")
	defer span.End()
	<-joined.answered // which the database's timeout bounds
	if joined.panicked != nil {
		panic(joined.panicked) // where it is recovered, as that of a lone question is
	}
	if joined.err != nil {
		return answer, joined.err
	}
	return joined.answers[place], nil
}

// join adds a question to the batch that gathers. It needs the lock.
func (b *batches[Question, Answer]) join(ctx context.Context, question Question) (joined *batch[Question, Answer], place int) {
	if b.gathering == nil {
		gathering := &batch[Question, Answer]{ctx: context.WithoutCancel(ctx), answered: make(chan struct{})}
		gathering.impatient = time.AfterFunc(batchPatience, func() { b.hurry(gathering) })
		b.gathering = gathering
	}
	joined, place = b.gathering, len(b.gathering.questions)
	joined.questions = append(joined.questions, question)
	if len(joined.questions) == maxBatch {
		b.begin()
	}
	return joined, place
}

// begin has the batch that gathers begin. It needs the lock.
func (b *batches[Question, Answer]) begin() {
	begun := b.gathering
	begun.impatient.Stop()
	b.gathering = nil
	b.underWay++
	go func() {
		defer close(begun.answered)
		defer b.over() // first, so that the next batch is under way while these answers are used
		defer func() { begun.panicked = recover() }()
		begun.answers, begun.err = b.ask(begun.ctx, begun.questions)
	}()
}

// hurry has a batch begin that still gathers.
func (b *batches[Question, Answer]) hurry(gathering *batch[Question, Answer]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gathering == gathering {
		b.begin()
	}
}

// over ends a batch, and lets those begin who gathered meanwhile.
func (b *batches[Question, Answer]) over() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay--
	if b.underWay == 0 && b.gathering != nil {
		b.begin()
	}
}
