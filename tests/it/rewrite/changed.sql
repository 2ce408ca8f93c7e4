UPDATE reasoning_traces SET api_key = 'other-' || (21 - id), customer_id = CASE WHEN id % 2 = 0 THEN id END,
    card = '9999-' || id || '-' || right(card, 4), doc = json_build_object('secret', id * 7, 'open', id),
    steps = jsonb_set(jsonb_set(jsonb_set(steps, '{steps,0,api_key}', '{"was": "text"}'), '{steps,1,0,api_key}', '17'),
        '{meta,user,email}', 'null');
UPDATE tokens SET secret = 'changed-' || name;
UPDATE events SET token = NULL;
UPDATE other.reasoning_traces SET api_key = NULL;
UPDATE charges SET ward = 4 - ward;
UPDATE vault SET code = 505 - code;
UPDATE safes SET code = 'other';
